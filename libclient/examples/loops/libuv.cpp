// SPDX-License-Identifier: MIT
// memio in a libuv loop.
#include <uv.h>

#include "follower.h"

static void on_readable(uv_poll_t* poll, int, int) {
  if (static_cast<Follower*>(poll->data)->dispatch()) return;
  uv_poll_stop(poll);
  uv_close(reinterpret_cast<uv_handle_t*>(poll), nullptr);
}

int main() {
  auto follower = Follower::start();
  if (!follower) {
    std::cerr << follower.error().text() << '\n';
    return 1;
  }
  uv_loop_t* loop = uv_default_loop();
  uv_poll_t poll;
  uv_poll_init(loop, &poll, follower->fd());
  poll.data = &*follower;
  uv_poll_start(&poll, UV_READABLE, on_readable);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_loop_close(loop);
}

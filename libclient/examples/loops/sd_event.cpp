// SPDX-License-Identifier: MIT
// memio in an sd-event loop.
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "follower.h"

static int on_readable(sd_event_source* source, int, uint32_t, void* follower) {
  if (static_cast<Follower*>(follower)->dispatch()) return 0;
  return sd_event_exit(sd_event_source_get_event(source), 0);
}

int main() {
  auto follower = Follower::start();
  if (!follower) {
    std::cerr << follower.error().text() << '\n';
    return 1;
  }
  sd_event* loop = nullptr;
  sd_event_default(&loop);
  sd_event_add_io(loop, nullptr, follower->fd(), EPOLLIN, on_readable, &*follower);
  sd_event_loop(loop);
  sd_event_unref(loop);
}

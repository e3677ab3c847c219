// SPDX-License-Identifier: MIT
// memio in a bare epoll.
#include <sys/epoll.h>
#include <unistd.h>

#include "follower.h"

int main() {
  auto follower = Follower::start();
  if (!follower) {
    std::cerr << follower.error().text() << '\n';
    return 1;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{EPOLLIN, {}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, follower->fd(), &interest);
  do {
    epoll_event event;
    epoll_wait(epoll, &event, 1, -1);
  } while (follower->dispatch());
  close(epoll);
}

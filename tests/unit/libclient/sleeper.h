// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <cerrno>

#include "memio/unique_fd.h"

namespace memio {

// Sleeps on the doorbell as a subscriber does: edge-triggered, and never reading it.
class Sleeper {
 public:
  explicit Sleeper(int doorbell) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, doorbell, &event), 0);
  }
  // False if nobody rang in so long a time that the wake-up must have been lost.
  [[nodiscard]] bool sleep() {
    epoll_event event{};
    int n = 0;
    do n = ::epoll_wait(epoll_.get(), &event, 1, 20'000);
    while (n < 0 && errno == EINTR);
    return n == 1;
  }

 private:
  UniqueFd epoll_;
};

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <stdexcept>

namespace memio::test {

// As long as it lives this process can open so many descriptors and no more. Those that are open stay so.
class NoRoomForFds {
 public:
  explicit NoRoomForFds(int room = 0) {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) throw std::runtime_error("getrlimit");
    int first_free = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    ::close(first_free);
    for (; room > 0; ++first_free)
      if (::fcntl(first_free, F_GETFD) < 0) --room;
    const rlimit limit{static_cast<rlim_t>(first_free), before_.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) throw std::runtime_error("setrlimit");
  }
  ~NoRoomForFds() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoRoomForFds(const NoRoomForFds&) = delete;
  NoRoomForFds& operator=(const NoRoomForFds&) = delete;

 private:
  rlimit before_{};
};

}  // namespace memio::test

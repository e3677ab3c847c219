// SPDX-License-Identifier: MIT
#pragma once

// The other end of a socket: sends what a fuzzer has made up, and counts what is left open by whoever reads it.

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "fuzz.h"
#include "memio/unique_fd.h"

namespace memio::fuzz {

// Descriptors that are open here.
inline std::size_t count_fds() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  require(directory != nullptr);
  while (::readdir(directory)) ++count;
  ::closedir(directory);
  return count;
}

// Sends bytes with so many descriptors, 32 at most. False if the socket takes no more.
inline bool send(int socket, std::string_view bytes, std::size_t fds) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(32 * sizeof(int))> control{};
  const UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
  if (fds > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds * sizeof(int));
    for (std::size_t i = 0; i < fds; ++i) {
      const int number = fd.get();
      std::memcpy(CMSG_DATA(c) + i * sizeof(int), &number, sizeof number);
    }
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes.size());
}

}  // namespace memio::fuzz

// SPDX-License-Identifier: MIT
#include "passed_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <memory>

namespace memio::broker {

namespace {

struct FreeStrings {
  void operator()(char** strings) const noexcept {
    for (char** s = strings; *s; ++s) std::free(*s);
    std::free(strings);
  }
};

}  // namespace

Result<PassedFds> take_passed_fds() {
  char** raw_names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &raw_names);
  const std::unique_ptr<char*, FreeStrings> names(raw_names);
  if (count < 0) return fail_errno(-count, "taking over descriptors from systemd");
  PassedFds passed;
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    if (::sd_is_socket_unix(fd.get(), SOCK_STREAM, 1, nullptr, 0) > 0) {
      ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
      passed.sockets.push_back(std::move(fd));
    } else {
      passed.stored[names.get()[i]].push_back(std::move(fd));
    }
  }
  return passed;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "notify.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "memio/socket_path.h"
#include "memio/unique_fd.h"

namespace memio::broker {

bool notify_without_waiting(const std::string& state) {
  const char* variable = std::getenv("NOTIFY_SOCKET");
  const std::string path = variable ? variable : "";
  auto address = socket_address(path);
  if (!address) return true;                             // there is no manager that wants to know
  if (path.front() == '@') address->sun_path[0] = '\0';  // an abstract address: its length tells where it ends
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto sent = ::sendto(socket.get(), state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&*address), length);
  return sent >= 0 || errno != EAGAIN;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "memio/socket_path.h"

#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace memio {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<std::string> default_socket_path() {
  if (const auto path = variable("MEMIO_SOCKET"); !path.empty()) return std::string(path);
  const std::string directory(variable("XDG_RUNTIME_DIR"));
  if (directory.empty())
    return fail(Errc::system,
                "neither MEMIO_SOCKET nor XDG_RUNTIME_DIR is set, so where memiod listens is not known; set one of "
                "them, or give the socket's path");
  if (directory.front() != '/')
    return fail(Errc::system, "XDG_RUNTIME_DIR is '" + directory +
                                  "', which is no absolute path, so where memiod listens is not known; correct it, set "
                                  "MEMIO_SOCKET, or give the socket's path");
  return directory + "/memio/io.memio";
}

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  constexpr std::size_t longest = sizeof address.sun_path - 1;
  if (path.empty() || path.size() > longest)
    return fail(Errc::system, "a socket's path has 1 to " + std::to_string(longest) + " bytes, and this one has " +
                                  std::to_string(path.size()) + ": '" + path + "'");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

}  // namespace memio

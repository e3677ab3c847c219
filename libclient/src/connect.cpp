// SPDX-License-Identifier: MIT
#include "connect.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "memio/socket_path.h"

namespace memio {

Result<UniqueFd> connect_socket(const std::string& path, Blocking blocking) {
  const auto address = socket_address(path);
  if (!address) return fail(address.error());
  const int flags = SOCK_STREAM | SOCK_CLOEXEC | (blocking == Blocking::yes ? 0 : SOCK_NONBLOCK);
  UniqueFd socket(::socket(AF_UNIX, flags, 0));
  if (!socket.valid()) return fail_errno(errno, "creating a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const bool absent = errno == ENOENT || errno == ECONNREFUSED;
    return fail_errno(errno, "cannot reach memiod at " + path +
                                 (absent ? " (is it running? try: systemctl --user start memiod.socket)" : ""));
  }
  return socket;
}

Result<void> make_blocking(int socket) noexcept {
  const int flags = ::fcntl(socket, F_GETFL);
  if (flags < 0 || ::fcntl(socket, F_SETFL, flags & ~O_NONBLOCK) != 0)
    return fail_errno(errno, "using the socket to memiod");
  return {};
}

}  // namespace memio

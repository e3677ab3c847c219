// SPDX-License-Identifier: MIT
#include "listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "memio/socket_path.h"

namespace memio::broker {

namespace {

constexpr int backlog = 128;

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

Result<UniqueFd> make_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail_errno(errno, "creating a socket");
  return socket;
}

// Whether the socket file is one that nobody listens at any more.
bool is_stale(const sockaddr_un& address) {
  auto probe = make_socket();
  return probe && ::connect(probe->get(), generic(address), sizeof address) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& path, bool make_directory, mode_t mode) {
  const auto address = socket_address(path);
  if (!address) return fail(address.error());
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (make_directory && !parent.empty() && ::mkdir(parent.c_str(), S_IRWXU) != 0 && errno != EEXIST)
    return fail_errno(errno, "creating the directory " + parent);
  auto socket = make_socket();
  if (!socket) return socket;
  // The file is born with the mode that it is to have.
  const mode_t old_mask = ::umask((S_IRWXU | S_IRWXG | S_IRWXO) & ~mode);
  int bound = ::bind(socket->get(), generic(*address), sizeof *address);
  if (bound != 0 && errno == EADDRINUSE && is_stale(*address) && ::unlink(path.c_str()) == 0)
    bound = ::bind(socket->get(), generic(*address), sizeof *address);
  const int error_number = errno;
  ::umask(old_mask);
  if (bound != 0)
    return fail_errno(error_number,
                      error_number == EADDRINUSE ? "another memiod listens at " + path : "creating the socket " + path);
  if (::listen(socket->get(), backlog) != 0) return fail_errno(errno, "listening at " + path);
  return socket;
}

}  // namespace memio::broker

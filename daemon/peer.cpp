// SPDX-License-Identifier: MIT
#include "peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace memio::broker {

namespace {

bool is_ready(int fd, short events) {
  pollfd wanted{fd, events, 0};
  return ::poll(&wanted, 1, 0) > 0;
}

// Before Linux 6.5 a socket cannot tell its peer's pidfd. Then the number may by now be another process's, unless
// the peer still has its end of the connection open.
UniqueFd open_process(int socket, pid_t pid) {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (is_ready(socket, POLLRDHUP)) return {};
  return process;
}

}  // namespace

Result<Peer> Peer::of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail_errno(errno, "asking who made a connection");
  Peer peer;
  peer.uid_ = credentials.uid;
  peer.pid_ = credentials.pid;
  int process = -1;
  size = sizeof process;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &process, &size) == 0)
    peer.process_ = UniqueFd(process);
  else if (errno == ENOPROTOOPT)
    peer.process_ = open_process(socket, peer.pid_);
  else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
    return fail_errno(errno, "asking which process made a connection");
  return peer;
}

std::optional<pid_t> Peer::pid() const noexcept {
  // A pidfd becomes readable when its process ends.
  if (!process_.valid() || is_ready(process_.get(), POLLIN)) return std::nullopt;
  return pid_;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "support/notifications.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

#include "memio/socket_path.h"

namespace memio::test {

Notifications::Notifications(const std::string& path)
    : path_(path), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  const auto address = socket_address(path).value();
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot bind " + path);
}

void Notifications::fill() const {
  const auto address = socket_address(path_).value();
  ssize_t sent = 0;
  while (sent >= 0) {
    // One socket for each, or the sender's own limit might come first.
    const UniqueFd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sent =
        ::sendto(sender.get(), "FULL=1", 6, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  if (errno != EAGAIN) throw std::runtime_error("cannot fill " + path_);
}

Notifications::Message Notifications::receive() {
  constexpr int longest = 20'000;
  pollfd wanted{socket_.get(), POLLIN, 0};
  if (::poll(&wanted, 1, longest) != 1) return {};
  std::array<char, 4096> text;
  constexpr std::size_t most_fds = 16;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_fds * sizeof(int))> control;
  iovec piece{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
  Message message{std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))), {}};
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
    const auto* fds = reinterpret_cast<const int*>(CMSG_DATA(c));
    for (std::size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) message.fds.emplace_back(fds[i]);
  }
  return message;
}

bool Notifications::wait_for(const std::string& line) {
  for (;;) {
    const auto message = receive();
    if (message.text.empty()) return false;
    if (("\n" + message.text + "\n").find("\n" + line) != std::string::npos) return true;
  }
}

}  // namespace memio::test

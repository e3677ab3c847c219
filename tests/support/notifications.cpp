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

bool Notifications::wait_for(const std::string& line) {
  constexpr int longest = 20'000;
  for (;;) {
    pollfd wanted{socket_.get(), POLLIN, 0};
    if (::poll(&wanted, 1, longest) != 1) return false;
    std::array<char, 4096> buffer;
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    const std::string text =
        "\n" + std::string(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))) + "\n";
    if (text.find("\n" + line) != std::string::npos) return true;
  }
}

}  // namespace memio::test

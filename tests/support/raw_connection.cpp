// SPDX-License-Identifier: MIT
#include "support/raw_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "memio/socket_path.h"

namespace memio::test {

RawConnection::RawConnection(const std::string& socket_path)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = socket_address(socket_path);
  if (!address || ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    throw std::runtime_error("cannot connect to " + socket_path);
}

bool RawConnection::send(std::string_view bytes, const std::vector<int>& fds) {
  std::vector<std::byte> control(fds.empty() ? 0 : CMSG_SPACE(fds.size() * sizeof(int)));
  bool first = true;
  while (!bytes.empty()) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (first && !fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
    }
    const ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    first = false;
  }
  return true;
}

std::optional<std::string> RawConnection::read_message() {
  constexpr int longest = 20'000;
  for (;;) {
    if (const auto end = incoming_.find('\0'); end != std::string::npos) {
      auto message = incoming_.substr(0, end);
      incoming_.erase(0, end + 1);
      return message;
    }
    pollfd wanted{socket_.get(), POLLIN, 0};
    if (::poll(&wanted, 1, longest) != 1) throw std::runtime_error("no answer within 20 s");
    std::array<char, 65536> buffer;
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) return std::nullopt;
    incoming_.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::optional<Reply> RawConnection::receive() {
  auto message = read_message();
  if (!message) return std::nullopt;
  auto reply = decode_reply(*message);
  if (!reply) throw std::runtime_error("not a reply: " + *message);
  return std::move(*reply);
}

std::optional<Reply> RawConnection::ask(std::string_view message, const std::vector<int>& fds) {
  if (!send(std::string(message) + '\0', fds)) return std::nullopt;
  return receive();
}

bool RawConnection::is_closed_by_peer() {
  while (read_message()) {
  }
  return true;
}

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#include "memio/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace memio {

namespace {

constexpr std::size_t kernel_max_fds = 253;  // SCM_MAX_FD

constexpr std::size_t max_piece = std::size_t{64} * 1024;  // a piece this long gets no further message

using ControlBuffer = std::array<std::byte, CMSG_SPACE(kernel_max_fds * sizeof(int))>;

// Every descriptor of a received message, owned from here on.
std::vector<UniqueFd> take_fds(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

bool is_socket(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

bool is_lack(int error_number) {
  return error_number == ENOMEM || error_number == ENOBUFS || error_number == ETOOMANYREFS;
}

bool would_block(int error_number) { return error_number == EAGAIN || error_number == EWOULDBLOCK; }

bool connection_is_gone(int error_number) { return error_number == EPIPE || error_number == ECONNRESET; }

}  // namespace

// What one read of a socket is told, and where it puts it.
struct Channel::Reading {
  std::array<char, max_piece> bytes;
  alignas(cmsghdr) ControlBuffer control;
  std::vector<UniqueFd> fds;
  bool fds_are_missing = false;

  // As recvmsg(2), which see.
  ssize_t receive(int socket, std::size_t most, int flags) {
    iovec part{bytes.data(), std::min(most, bytes.size())};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t n = 0;
    do n = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return n;
    fds = take_fds(message);
    fds_are_missing = (message.msg_flags & MSG_CTRUNC) != 0;
    return n;
  }
};

Channel::Channel(UniqueFd socket) : Channel(std::move(socket), Limits{}) {}

Channel::Channel(UniqueFd socket, Limits limits) : socket_(std::move(socket)), limits_(limits) {}

// What is read goes through a Reading, and not into incoming_ at once: a connection that says little is not to keep
// room for much.

Result<Channel::Input> Channel::receive(std::size_t most) {
  Reading reading;
  const auto n = reading.receive(fd(), most, MSG_DONTWAIT);
  return take(reading, n);
}

Result<Channel::Input> Channel::wait_and_receive() {
  Reading reading;
  auto n = reading.receive(fd(), max_piece, 0);
  while (n < 0 && would_block(errno)) {
    pollfd wanted{fd(), POLLIN, 0};
    if (::poll(&wanted, 1, -1) < 0 && errno != EINTR) return fail_errno(errno, "waiting for the socket");
    n = reading.receive(fd(), max_piece, 0);
  }
  return take(reading, n);
}

Result<Channel::Input> Channel::take(Reading& reading, ssize_t n) {
  if (n < 0) {
    // What has come is still there when there is memory again, and whoever polls is told of it once more.
    if (would_block(errno) || is_lack(errno)) return Input::none;
    if (connection_is_gone(errno)) return Input::end;
    return fail_errno(errno, "reading from the socket");
  }
  const std::size_t old_size = incoming_.size();
  incoming_.append(reading.bytes.data(), static_cast<std::size_t>(n));
  if (!limits_.sockets)
    for (auto& received : reading.fds)
      if (is_socket(received.get())) received.reset();
  if (n == 0) return Input::end;
  if (auto result = split(old_size, std::move(reading.fds), reading.fds_are_missing); !result)
    return fail(std::move(result.error()));
  return Input::some;
}

std::optional<bool> Channel::socket_waits() const {
  const auto look_from = [this](int offset) {
    return ::setsockopt(fd(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
  };
  if (!look_from(0)) return std::nullopt;
  bool found = false;
  bool seen_all = true;
  Reading reading;
  ssize_t n = 0;
  while (!found && (n = reading.receive(fd(), max_piece, MSG_PEEK | MSG_DONTWAIT)) > 0) {
    found = std::ranges::any_of(reading.fds, [](const UniqueFd& waiting) { return is_socket(waiting.get()); });
    seen_all = seen_all && !reading.fds_are_missing;
  }
  if (n < 0) seen_all = seen_all && would_block(errno);
  look_from(-1);
  return found || seen_all ? std::optional(found) : std::nullopt;
}

Result<void> Channel::split(std::size_t old_size, std::vector<UniqueFd> fds, bool fds_lost) {
  std::size_t start = 0;
  for (std::size_t end = incoming_.find('\0', old_size); end != std::string::npos; end = incoming_.find('\0', start)) {
    if (end - start > limits_.message) break;
    ready_.push_back(
        {incoming_.substr(start, end - start), std::move(incoming_fds_), std::exchange(incoming_fds_lost_, false)});
    incoming_fds_.clear();
    start = end + 1;
  }
  if (start < incoming_.size())
    incoming_.erase(0, start);
  else
    incoming_ = std::string();  // and the room of a long message with it
  if (incoming_.size() > limits_.message)
    return fail(Errc::message_too_large, "a message is longer than " + std::to_string(limits_.message) + " bytes");
  const bool of_whole = incoming_.empty() && start > 0;
  if (fds_lost) (of_whole ? ready_.back().fds_lost : incoming_fds_lost_) = true;
  auto& owner = of_whole ? ready_.back().fds : incoming_fds_;
  if (owner.size() + fds.size() > limits_.fds)
    return fail(Errc::protocol_violation,
                "a message came with more than " + std::to_string(limits_.fds) + " file descriptors");
  std::move(fds.begin(), fds.end(), std::back_inserter(owner));
  return {};
}

std::optional<Frame> Channel::next() {
  if (ready_.empty()) return std::nullopt;
  Frame frame = std::move(ready_.front());
  ready_.pop_front();
  return frame;
}

Result<void> Channel::send(std::string text, std::vector<UniqueFd> fds) {
  text.push_back('\0');
  if (queued_ + text.size() > limits_.queued)
    return fail(Errc::limit_exceeded,
                "more than " + std::to_string(limits_.queued) + " bytes wait to be read by the peer");
  if (fds.size() > kernel_max_fds)
    return fail(Errc::limit_exceeded,
                "a message carries at most " + std::to_string(kernel_max_fds) + " file descriptors");
  // A piece is freed when all of it is sent, so one that a slow peer never finishes must not grow for ever.
  const bool append =
      fds.empty() && !outgoing_.empty() && outgoing_.back().fds.empty() && outgoing_.back().bytes.size() < max_piece;
  queued_ += text.size();
  if (append)
    outgoing_.back().bytes += text;
  else
    outgoing_.push_back({std::move(text), std::move(fds)});
  return {};
}

Result<void> Channel::flush() {
  starved_ = false;
  while (!outgoing_.empty()) {
    Piece& piece = outgoing_.front();
    iovec part{piece.bytes.data() + sent_, piece.bytes.size() - sent_};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) ControlBuffer control;
    if (!piece.fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(piece.fds.size() * sizeof(int));
      std::memset(control.data(), 0, message.msg_controllen);
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(piece.fds.size() * sizeof(int));
      for (std::size_t i = 0; i < piece.fds.size(); ++i) {
        const int fd = piece.fds[i].get();
        std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof fd);
      }
    }
    const ssize_t n = ::sendmsg(fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (would_block(errno)) return {};
      if (connection_is_gone(errno)) return fail(Errc::disconnected);
      if (is_lack(errno)) {
        starved_ = true;
        return {};
      }
      return fail_errno(errno, "writing to the socket");
    }
    piece.fds.clear();
    sent_ += static_cast<std::size_t>(n);
    queued_ -= static_cast<std::size_t>(n);
    if (sent_ < piece.bytes.size()) continue;
    outgoing_.pop_front();
    sent_ = 0;
  }
  return {};
}

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio {

// A message as it stands on the wire: its text without the NUL, and the descriptors that came with it.
struct Frame {
  std::string text;
  std::vector<UniqueFd> fds;
  bool fds_lost = false;  // some came that this process had no room for (RLIMIT_NOFILE); `fds` may be any of the others
};

// NUL-terminated messages with file descriptors, over a Unix stream socket. Knows no event loop: the owner calls
// receive() when the socket is readable and flush() when it is writable and wants_write() says so. Whether the socket
// blocks makes no difference.
//
// Which message do descriptors belong to? The sender gives a message that has any a sendmsg(2) of its own,
// and the kernel ends a read right after the piece they came with. So on the receiver's side they belong to the
// message that the last byte of that read is part of.
//
// Not thread-safe. After an error the channel is of no more use; its owner closes it.
class Channel {
 public:
  struct Limits {
    std::size_t message = std::size_t{1} << 20;  // bytes of an incoming message
    std::size_t queued = std::size_t{16} << 20;  // bytes waiting to be sent
    std::size_t fds = 16;                        // descriptors with an incoming message
    // Whether these may be sockets. If not, each is closed at once and leaves an empty place: a peer could send its own
    // end, and a connection that we hold both ends of never ends.
    bool sockets = true;
  };

  enum class Input : std::uint8_t { some, none, end };  // bytes came, would block or no memory, the peer closed

  // Takes over a connected socket.
  explicit Channel(UniqueFd socket);
  Channel(UniqueFd socket, Limits limits);

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  // Reads from the socket once, at most `most` bytes, and no more than 64 KiB. Never blocks.
  // Errors: message_too_large; protocol_violation for more descriptors than allowed; disconnected; system.
  Result<Input> receive(std::size_t most = std::size_t{64} * 1024);

  // Waits until there is something to be read, and reads it. With a socket that blocks that is one system call.
  // Errors: as receive().
  Result<Input> wait_and_receive();
  // Whether a socket is among the descriptors that were sent to us and are not received yet; nothing if that could not
  // be seen, for lack of memory or descriptors. Only looks: all stays to be received.
  [[nodiscard]] std::optional<bool> socket_waits() const;

  // The next whole message, if there is one.
  [[nodiscard]] bool has_next() const noexcept { return !ready_.empty(); }
  [[nodiscard]] std::optional<Frame> next();

  // Queues a message and its descriptors; flush() sends it. Error: limit_exceeded if too much is waiting already.
  Result<void> send(std::string text, std::vector<UniqueFd> fds = {});

  // Sends what the socket takes now. Never blocks, never raises SIGPIPE. Errors: disconnected, system.
  Result<void> flush();
  // Whether the last flush() stopped because the system had no memory, or too many descriptors were on their way: the
  // socket does not tell when that is over, so it is to be tried again after a while.
  [[nodiscard]] bool starved() const noexcept { return starved_; }

  [[nodiscard]] bool wants_write() const noexcept { return !outgoing_.empty(); }
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_; }

 private:
  // A run of bytes that goes out in order; `fds`, if any, go out with its first byte.
  struct Piece {
    std::string bytes;
    std::vector<UniqueFd> fds;
  };

  struct Reading;
  Result<Input> take(Reading& reading, ssize_t n);
  // Cuts what was just read (incoming_ from `old_size`) into messages.
  Result<void> split(std::size_t old_size, std::vector<UniqueFd> fds, bool fds_lost);

  UniqueFd socket_;
  Limits limits_;
  std::string incoming_;                // of the message that is not whole yet
  std::vector<UniqueFd> incoming_fds_;  // that came with it so far
  bool incoming_fds_lost_ = false;
  std::deque<Frame> ready_;
  std::deque<Piece> outgoing_;
  std::size_t sent_ = 0;  // bytes of outgoing_.front() already sent
  std::size_t queued_ = 0;
  bool starved_ = false;
};

}  // namespace memio

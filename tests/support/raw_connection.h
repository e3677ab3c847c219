// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memio/message.h"
#include "memio/unique_fd.h"

namespace memio::test {

// A connection that says what it is told, right or wrong.
class RawConnection {
 public:
  explicit RawConnection(const std::string& socket_path);
  // Uses a socket that is connected already.
  explicit RawConnection(UniqueFd socket) : socket_(std::move(socket)) {}

  // Sends bytes as they are; false if the peer has closed. `fds` go along with the first of them.
  bool send(std::string_view bytes, const std::vector<int>& fds = {});
  // Reads up to the next NUL and returns the message; nothing if the peer closed instead. Gives up after 20 s.
  std::optional<Reply> receive();
  // Sends a message and its NUL, and reads the answer.
  std::optional<Reply> ask(std::string_view message, const std::vector<int>& fds = {});
  // Whether the peer closes the connection, after whatever it still says.
  bool is_closed_by_peer();
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  std::optional<std::string> read_message();

  UniqueFd socket_;
  std::string incoming_;
};

}  // namespace memio::test

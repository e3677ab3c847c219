// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "memio/unique_fd.h"

namespace memio::test {

// Listens for what a service tells systemd with sd_notify(3).
class Notifications {
 public:
  explicit Notifications(const std::string& path);
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Waits for a message that has `line` in it; false after 20 s.
  bool wait_for(const std::string& line);
  struct Message {
    std::string text;
    std::vector<UniqueFd> fds;
  };
  // Waits for the next message; an empty one after 20 s.
  Message receive();
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  // Sends itself as many messages as it can hold: whoever waits for room now waits until wait_for() makes some.
  void fill() const;

 private:
  std::string path_;
  UniqueFd socket_;
};

}  // namespace memio::test

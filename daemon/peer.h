// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::broker {

// Who made a connection. A process's number alone says nothing once the process has ended, because another may get it;
// so the process is held by a descriptor (pidfd), and its number is only told as long as it lives.
class Peer {
 public:
  // The peer of a connected socket. Error: system.
  static Result<Peer> of(int socket);

  [[nodiscard]] uid_t uid() const noexcept { return uid_; }
  // Nothing if the process has ended, or if the kernel cannot tell which it is.
  [[nodiscard]] std::optional<pid_t> pid() const noexcept;
  // Becomes readable when the process of pid() ends.
  [[nodiscard]] int process_fd() const noexcept { return process_.get(); }

 private:
  uid_t uid_ = 0;
  pid_t pid_ = 0;
  UniqueFd process_;
};

}  // namespace memio::broker

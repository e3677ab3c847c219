// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "memio/channel.h"

namespace memio::broker {

// A channel that waits, but not for ever unless it is told to: one object for one talk.
class Talk {
 public:
  static constexpr std::chrono::seconds longest{10};

  explicit Talk(UniqueFd socket) : channel_(std::move(socket)) {}

  // Sends a message; `fds` are borrowed. Errors: timed_out, disconnected, system.
  Result<void> say(const std::string& text, const std::vector<int>& fds = {});
  // The next message. Errors: the same, and those of Channel::receive().
  Result<Frame> hear();
  // From now on it waits as long as the other end is there.
  void be_patient() noexcept { until_.reset(); }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] Result<void> wait_for(short events) const;

  Channel channel_;
  std::optional<Clock::time_point> until_ = Clock::now() + longest;
};

}  // namespace memio::broker

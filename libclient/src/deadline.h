// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

namespace memio {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;  // none: wait for ever

// Always past, and in memory that nobody has to write first.
inline constexpr Deadline at_once = Clock::time_point::min();

// The deadline of a public `timeout`: negative means none.
[[nodiscard]] inline Deadline deadline_in(std::chrono::milliseconds timeout) noexcept {
  if (timeout.count() < 0) return std::nullopt;
  return Clock::now() + timeout;
}

[[nodiscard]] inline bool is_past(const Deadline& deadline) noexcept { return deadline && Clock::now() >= *deadline; }

// What is left, as poll(2) and epoll_wait(2) take it: rounded up, -1 for ever.
[[nodiscard]] inline int milliseconds_left(const Deadline& deadline) noexcept {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

}  // namespace memio

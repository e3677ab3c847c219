// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>

namespace memio::test {

// Asks until it is so, which is for what memiod, or systemd, notices in its own time; false if it takes longer than
// that.
inline bool becomes(const std::function<bool()>& is_so, std::chrono::seconds longest = std::chrono::seconds(20)) {
  const auto limit = std::chrono::steady_clock::now() + longest;
  while (std::chrono::steady_clock::now() < limit)
    if (is_so()) return true;
  return false;
}

}  // namespace memio::test

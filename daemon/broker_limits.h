// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace memio::broker {

// How much of everything memiod gives out. A request that would pass one is refused with LimitExceeded.
struct Limits {
  std::uint64_t region_bytes = std::uint64_t{1}
                               << 40;  // slots and directory of one region; untouched memory costs nothing
  std::size_t regions = 16'384;
  std::uint32_t handles_per_region = 1'023;  // and one cell of the lease table for memiod itself
  std::size_t handles_per_session = 16'384;
  std::size_t sessions = 4'096;
  std::size_t watches_per_session = 16;
  std::size_t message_bytes = std::size_t{1} << 20;        // of a call
  std::size_t queued_bytes = std::size_t{64} << 20;        // of answers that a session has not read
  std::size_t watch_queued_bytes = std::size_t{64} << 10;  // more than that, and a watch waits and merges its events
  std::size_t grants = 256;                                // of one OpenConnection
  std::chrono::milliseconds linger{10'000};                // how long a lingering region waits for another opener
  std::chrono::milliseconds claims{5'000};  // how long the cells of a region taken over wait for their owners
};

}  // namespace memio::broker

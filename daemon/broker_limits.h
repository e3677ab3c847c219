// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "account.h"

namespace memio::broker {

// How much of everything memiod gives out. A request that would pass one is refused with LimitExceeded. Those that an
// administrator can set are in memiod.conf(5), under these names.
struct Limits {
  // What all connections of a user have together, what one connection has with all the scoped ones made through it, and
  // what one of those has.
  Quota user{.regions = 32'768,
             .bytes = std::uint64_t{4} << 40,
             .handles = 65'536,
             .fds = 16'384,
             .queued_bytes = std::uint64_t{512} << 20,
             .connections = 4'096,
             .watches = 16'384,
             .commands = 16'384,
             .listens = 16'384,
             .calls = 65'536,
             .mail_bytes = std::uint64_t{256} << 20,
             .messages_per_second = 100'000};
  Quota connection{.regions = 16'384,
                   .bytes = std::uint64_t{2} << 40,
                   .handles = 16'384,
                   .fds = 512,
                   .queued_bytes = std::uint64_t{64} << 20,
                   .connections = 2'048,
                   .watches = 2'048,
                   .commands = 4'096,
                   .listens = 2'048,
                   .calls = 4'096,
                   .mail_bytes = std::uint64_t{32} << 20,
                   .messages_per_second = 20'000};
  Quota scoped{.regions = 1'024,
               .bytes = std::uint64_t{256} << 30,
               .handles = 4'096,
               .fds = 256,
               .queued_bytes = std::uint64_t{16} << 20,
               .connections = 256,
               .watches = 256,
               .commands = 256,
               .listens = 256,
               .calls = 1'024,
               .mail_bytes = std::uint64_t{8} << 20,
               .messages_per_second = 10'000};
  std::uint64_t region_bytes = std::uint64_t{1}
                               << 40;        // slots and directory of one region; untouched memory costs nothing
  std::uint64_t handles_per_region = 1'023;  // and one cell of the lease table for memiod itself
  std::uint64_t message_bytes = std::uint64_t{1} << 20;  // of a call
  std::uint64_t grants = 64;  // of a connection and all that it was made through; each costs time for each region

  // Not to be set. What a session may have unread before memiod reads no more of its calls, and before its watches
  // merge their events.
  std::size_t unread_bytes = std::size_t{1} << 20;
  std::size_t watch_queued_bytes = std::size_t{64} << 10;
  std::chrono::milliseconds linger{10'000};  // how long a lingering region waits for another opener
  std::chrono::milliseconds claims{5'000};   // how long the cells of a region taken over wait for their owners
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "memio/api.h"
#include "memio/protocol.h"
#include "memio/result.h"

namespace memio {

using protocol::Access;
using protocol::Layout;
using protocol::Lifetime;
using RegionInfo = protocol::Region;

// Names something of the caller's in events (see Client::dispatch).
struct Token {
  std::uint64_t value = 0;
  bool operator==(const Token&) const = default;
};

namespace detail {
class ClientCore;
class OpenRegion;
}  // namespace detail

// One publish of a region, leased: as long as this object lives no writer touches its bytes.
//
// Keep it short: a region with n slots has room for n - 2 leases of older publishes before a writer finds no slot free.
// Releasing it (the destructor) allocates nothing and usually makes no system call. Belongs to the thread of its
// Region, and may outlive the Region object.
class MEMIO_API Snapshot {
 public:
  // Inline, because a snapshot is moved and released at the rate at which a region is read.
  Snapshot(Snapshot&& other) noexcept
      : region_(std::exchange(other.region_, nullptr)),
        version_(other.version_),
        sequence_(other.sequence_),
        data_(std::exchange(other.data_, {})),
        slot_(other.slot_) {}
  Snapshot& operator=(Snapshot&& other) noexcept;
  ~Snapshot() {
    if (region_) release();
  }

  // The writer's label for this publish.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  // Counts publishes from 1; 0 means that nothing has been published yet, and data() is empty.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  // The payload, in the shared memory itself (in a classic region: in a copy of the library's). Valid as long as this
  // object lives. A hostile writer can change bytes even while they are leased: do not trust two reads to agree.
  [[nodiscard]] std::span<const std::byte> data() const noexcept { return data_; }

 private:
  friend class detail::OpenRegion;
  Snapshot(detail::OpenRegion& region, std::uint64_t version, std::uint64_t sequence, std::span<const std::byte> data,
           unsigned slot) noexcept
      : region_(&region), version_(version), sequence_(sequence), data_(data), slot_(slot) {}
  void release() noexcept;

  detail::OpenRegion* region_;  // lives as long as there are snapshots of it; null: moved away
  std::uint64_t version_;
  std::uint64_t sequence_;
  std::span<const std::byte> data_;
  unsigned slot_;
};

// An open handle of a region.
//
// Movable; the last one closes the handle. Publishing, reading and releasing allocate nothing and
// make no system call unless somebody sleeps. Not thread-safe: one thread at a time uses a Region and its Snapshots.
// Threads that share a region open it once each. Goes on working when memiod is gone; keeps the connection of its
// Client alive.
class MEMIO_API Region {
 public:
  Region(Region&&) noexcept;
  Region& operator=(Region&&) noexcept;
  ~Region();

  // As it was when the region was opened. sequence() and Client::stat tell what it is now.
  [[nodiscard]] const RegionInfo& info() const noexcept;
  [[nodiscard]] Access access() const noexcept;
  // The sequence of the latest publish: one atomic load.
  [[nodiscard]] std::uint64_t sequence() const noexcept;

  // Publishes a copy of `payload` under `version`, or under the latest version + 1. Returns the new sequence.
  // Errors: payload_too_large; read_only; busy if no slot became free within write_timeout; corrupt; evicted.
  //
  // The version is passed by reference because an empty optional is one byte of the sixteen that are copied by value,
  // and a processor waits for all stores so far when it reads more than was stored last.
  Result<std::uint64_t> write(std::span<const std::byte> payload,
                              const std::optional<std::uint64_t>& version = std::nullopt);

  // Publishing in place: begin() gives the payload of a free slot, whose bytes are unspecified, to be filled before
  // commit(). Between the two the caller holds the region's writer lock: other writers wait. Errors as write(); misuse
  // if begun already.
  Result<std::span<std::byte>> begin(std::size_t length);
  // Makes what begin() gave the latest publish and wakes the subscribers. Returns the new sequence. Errors: misuse if
  // not begun; evicted if the broker has given the lock to another writer in between.
  Result<std::uint64_t> commit(const std::optional<std::uint64_t>& version = std::nullopt);
  // Gives up what begin() started; nothing is published. Does nothing if nothing was.
  void abort() noexcept;

  // How long write() and begin() wait for another writer, or for a slot that is not leased. 1 second at first; 0: not
  // at all.
  void set_write_timeout(std::chrono::milliseconds timeout) noexcept;

  // The latest publish. Errors: corrupt; busy if a classic region stays half-written.
  Result<Snapshot> read();
  // The same, or nothing if its sequence is still `last_seen`; the payload is not touched then.
  Result<std::optional<Snapshot>> read(std::uint64_t last_seen);
  // Copies the latest payload to `to` and says how many bytes it has and what they are called. payload_too_large if
  // `to` is too small.
  struct Copied {
    std::uint64_t version = 0;
    std::uint64_t sequence = 0;
    std::size_t length = 0;
  };
  Result<Copied> read_into(std::span<std::byte> to);

  // Waits until the sequence is other than `last_seen` and returns it; at most `timeout` if it is not negative. For
  // threads without an event loop; do not use it together with subscribe() on one Client. Errors: timed_out, system.
  Result<std::uint64_t> wait(std::uint64_t last_seen, std::chrono::milliseconds timeout);

  // From now on Client::dispatch tells `token` of changes, the first time at once if anything has been published since
  // `last_seen`. Error: system.
  Result<void> subscribe(Token token, std::uint64_t last_seen = 0);
  void unsubscribe() noexcept;

  // Has the memory of all slots allocated and mapped now, so that no publish and no read stops for page faults: the
  // first pass over fresh memory costs about ten times a later one. Takes as much memory as the region can have.
  // Errors: system.
  Result<void> prefault();

  // Gives the memory of stale slots back to the system: those that are neither the latest nor leased, and what lies
  // behind the latest payload. It comes back, as zeros, when a writer uses it. Returns how many bytes that were. Other
  // writers go on meanwhile, as long as there is another free slot. A classic region has no stale slot. Errors:
  // read_only, also if the region is exclusive, whose seal keeps its memory; misuse between begin() and commit(); busy
  // if another writer does not end within write_timeout; evicted; corrupt; system.
  Result<std::uint64_t> shrink();

  // The region's memory as a file, borrowed; laid out as REGION_FORMAT.md says. /proc/<pid>/fd/<this> works for
  // programs that know nothing of memiod.
  [[nodiscard]] int file_descriptor() const noexcept;

 private:
  friend class detail::ClientCore;
  friend class Client;
  friend class RegionAccess;
  explicit Region(std::shared_ptr<detail::OpenRegion> open) noexcept;
  std::shared_ptr<detail::OpenRegion> open_;
};

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

// Publishing. The protocol over the shared memory, and why it is right, is in REGION_FORMAT.md; in short:
//
//   begin:  take the writer lock; choose a slot that is neither the latest nor leased in any cell
//   commit: write the slot's header; make it the latest (one compare-and-swap); ring the doorbell if a cell is armed
//   for this very
//           sequence; give the lock back
//
// A reader stores its lease and then loads `latest`; a writer stores `latest` and then, at its next begin, loads the
// leases. All four are sequentially consistent, so either the reader sees that the slot is no longer the latest and
// moves on, or the writer sees the lease. Arming and ringing meet in the same way.
//
// The doorbell is rung under the lock. So a writer that dies anywhere between taking the lock and giving it back, the
// unrung doorbell included, leaves exactly one trace, the lock; and the broker, freeing it, rings.

#include <optional>

#include "deadline.h"
#include "region_memory.h"

namespace memio {

class Writer {
 public:
  explicit Writer(RegionMemory& memory) noexcept : memory_(memory) {}

  // Optionals come by reference: by value they are put together from parts in memory and read back as a whole, which
  // makes the processor wait for all stores so far, as long as the rest of a publish takes.
  //
  // A free slot's payload, `length` bytes of it. Errors: payload_too_large, read_only, misuse, busy, corrupt.
  Result<std::span<std::byte>> begin(std::size_t length, const Deadline& deadline);
  // Errors: misuse, evicted.
  Result<std::uint64_t> commit(const std::optional<std::uint64_t>& version);
  void abort() noexcept;

  // Calls `action` while no writer is at work. Errors: busy; evicted, and then a writer may have been at work.
  template <class Action>
  Result<void> between_writes(const Deadline& deadline, Action action) {
    if (!lock(deadline)) return fail(Errc::busy);
    action();
    if (!unlock()) return fail(Errc::evicted);
    return {};
  }

  // The slot that begin() gave; for those who fill it through another mapping.
  [[nodiscard]] unsigned slot() const noexcept { return slot_; }
  [[nodiscard]] bool begun() const noexcept { return begun_; }

 private:
  [[nodiscard]] std::uint32_t own_mark() const noexcept { return memory_.cell_index() + 1; }
  bool lock(const Deadline& deadline) noexcept;
  // False if the broker has given the lock to somebody else.
  bool unlock() noexcept;
  Result<unsigned> free_slot(unsigned latest_slot, const Deadline& deadline) noexcept;
  // The rest of the two, when they have to wait. Never inlined: a publish that waits for nobody is to stay small.
  [[gnu::noinline]] bool wait_for_lock(const Deadline& deadline) noexcept;
  [[gnu::noinline]] Result<unsigned> wait_for_slot(unsigned latest_slot, const Deadline& deadline) noexcept;
  [[nodiscard]] std::uint64_t free_slots(unsigned latest_slot) const noexcept;
  [[nodiscard]] std::uint64_t leased() const noexcept;
  void ring_if_armed(std::uint64_t sequence) noexcept;

  RegionMemory& memory_;
  bool begun_ = false;
  unsigned slot_ = 0;
  std::size_t length_ = 0;
  std::uint64_t latest_ = 0;        // `latest` when the write began
  std::uint64_t next_version_ = 0;  // the label if the caller gives none
};

// Wakes every subscriber of a region. Also for the broker's and the library's own use when they cannot know who sleeps.
void ring(int doorbell) noexcept;

}  // namespace memio

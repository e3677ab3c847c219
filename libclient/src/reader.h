// SPDX-License-Identifier: MIT
#pragma once

// Leasing snapshots, and arming the doorbell. writer.h says how the two sides meet.

#include <array>
#include <optional>
#include <vector>

#include "region_memory.h"

namespace memio {

class Reader {
 public:
  explicit Reader(RegionMemory& memory) noexcept : memory_(memory) {}

  // A publish that was read. Lease `slot` ends with release(slot).
  struct Leased {
    std::uint64_t version = 0;
    std::uint64_t sequence = 0;
    std::span<const std::byte> payload;
    unsigned slot = 0;
  };

  // Leases the latest publish, unless its sequence is `last_seen`. In a classic region nothing can be leased, so
  // the payload is copied to `copy` (which grows to the largest payload seen) and checked to be whole.
  // Errors: corrupt; busy if a classic region stays half-written; out_of_resources if there is no memory for the copy.
  Result<std::optional<Leased>> lease(std::optional<std::uint64_t> last_seen, std::vector<std::byte>& copy);
  void release(unsigned slot) noexcept;

  // Leases a slot whatever is in it, to keep writers from choosing it. False if this handle has a lease of it already.
  [[nodiscard]] bool hold(unsigned slot) noexcept;

  // Puts this handle's leases back into its cell, which memiod may have cleared. What a writer has chosen meanwhile, in
  // the belief that nobody reads it, stays its own.
  void lease_again() noexcept { set_leases(leases_); }

  // Copies the latest publish without leasing it, if it is small, fits, and no writer comes in between. Otherwise
  // nothing, and what is in `to` is unspecified: lease it then.
  std::optional<Leased> copy_small(std::span<std::byte> to) noexcept;

  [[nodiscard]] std::uint64_t sequence() const noexcept {
    return format::sequence_of(memory_.directory().latest.load(std::memory_order_acquire));
  }

  // Asks the publisher of `last_seen` + 1 to ring. False if it has been published already: then there is something to
  // read.
  [[nodiscard]] bool arm(std::uint64_t last_seen) noexcept;
  void disarm() noexcept { memory_.own_cell().armed.store(0, std::memory_order_relaxed); }

  // How many leases this handle holds.
  [[nodiscard]] unsigned leases() const noexcept;

 private:
  Result<std::optional<Leased>> lease_slot(std::optional<std::uint64_t> last_seen);
  Result<std::optional<Leased>> copy_classic(std::optional<std::uint64_t> last_seen, std::vector<std::byte>& copy);
  void set_leases(std::uint64_t leases) noexcept;
  void end_lease(unsigned slot) noexcept;

  RegionMemory& memory_;
  std::uint64_t leases_ = 0;  // what own_cell().leases is to be; the shared copy is not trusted
  std::array<std::uint32_t, format::max_slots> counts_{};  // leases of each slot
};

}  // namespace memio

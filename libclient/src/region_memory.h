// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <span>

#include "mapping.h"
#include "memio/region_format.h"
#include "memio/unique_fd.h"

namespace memio {

// The mapped memory of one open handle: region, lease table and doorbell. Knows where things are, and that they are
// inside the mappings whatever the memory says; Reader and Writer know what to do with them.
class RegionMemory {
 public:
  struct Parts {
    UniqueFd region;
    UniqueFd leases;
    UniqueFd doorbell;
    Geometry geometry;
    protocol::Access access = protocol::Access::read;
    std::uint32_t cell = 0;   // this handle's cell
    std::uint32_t cells = 0;  // cells in the lease table
  };

  // Maps both files and checks that the directory agrees with `parts`. Errors: corrupt, system.
  static Result<RegionMemory> map(Parts parts);

  [[nodiscard]] const Geometry& geometry() const noexcept { return parts_.geometry; }
  [[nodiscard]] protocol::Access access() const noexcept { return parts_.access; }
  [[nodiscard]] int region_fd() const noexcept { return parts_.region.get(); }
  [[nodiscard]] int leases_fd() const noexcept { return parts_.leases.get(); }
  [[nodiscard]] int doorbell_fd() const noexcept { return parts_.doorbell.get(); }

  [[nodiscard]] format::Directory& directory() const noexcept { return *directory_; }
  // `slot` must be smaller than geometry().slots.
  [[nodiscard]] format::SlotHeader& header(unsigned slot) const noexcept {
    return *reinterpret_cast<format::SlotHeader*>(region_.data() + geometry().slot_offset(slot));
  }
  // A copy of a slot's header, each field loaded once: what is checked is what is used, whatever a peer writes
  // meanwhile.
  [[nodiscard]] format::SlotHeader load_header(unsigned slot) const noexcept {
    auto& shared = header(slot);
    const auto load = [](std::uint64_t& field) {
      return std::atomic_ref<std::uint64_t>(field).load(std::memory_order_relaxed);
    };
    return {load(shared.magic), load(shared.version), load(shared.length)};
  }
  void store_header(unsigned slot, const format::SlotHeader& values) const noexcept {
    auto& shared = header(slot);
    const auto store = [](std::uint64_t& field, std::uint64_t value) {
      std::atomic_ref<std::uint64_t>(field).store(value, std::memory_order_relaxed);
    };
    store(shared.magic, values.magic);
    store(shared.version, values.version);
    store(shared.length, values.length);
  }
  [[nodiscard]] std::span<std::byte> payload(unsigned slot) const noexcept {
    return {region_.data() + geometry().payload_offset(slot), geometry().capacity};
  }

  // Has the memory of all slots allocated and mapped now. Error: system.
  Result<void> prefault() const { return region_.prefault(geometry().directory_offset()); }

  [[nodiscard]] format::LeaseTable& lease_table() const noexcept {
    return *reinterpret_cast<format::LeaseTable*>(leases_.data());
  }
  [[nodiscard]] std::uint32_t cell_index() const noexcept { return parts_.cell; }
  [[nodiscard]] std::uint32_t cell_count() const noexcept { return parts_.cells; }
  [[nodiscard]] format::Cell& own_cell() const noexcept { return lease_table().cells[parts_.cell]; }
  // Whether the handle of a cell, which had set its will, is still open. No if there is no such cell.
  [[nodiscard]] bool has_will(std::uint32_t cell) const noexcept {
    return cell < parts_.cells && lease_table().cells[cell].will.load(std::memory_order_seq_cst) != 0;
  }
  // All cells that may be in use. Whoever looks through them has made a store first that the cells' owners look for, or
  // is about to; so this load too is part of the total order that REGION_FORMAT.md's proofs are about.
  [[nodiscard]] std::span<format::Cell> cells() const noexcept {
    const auto used = lease_table().cells_used.load(std::memory_order_seq_cst);
    return {lease_table().cells, std::min(used, parts_.cells)};
  }

 private:
  Parts parts_;
  Mapping region_;
  Mapping leases_;
  format::Directory* directory_ = nullptr;  // in region_; looked at several times in each publish
};

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

// The bytes that programs share: slots, directory and lease table. REGION_FORMAT.md beside this folder explains the
// format and the protocol over it; this header is its layout in C++.

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "memio/protocol.h"
#include "memio/result.h"

namespace memio {

using protocol::Layout;

namespace format {

static_assert(std::endian::native == std::endian::little, "the region format is little-endian");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

inline constexpr std::uint32_t format_version = 1;
inline constexpr std::uint32_t max_slots = 64;
inline constexpr std::uint32_t max_cells = 4096;
inline constexpr std::uint64_t max_capacity = std::uint64_t{1} << 40;
// What a region's stride is rounded to if it is to have huge pages: the size that x86-64, and arm64 with pages of 4
// KiB, have.
inline constexpr std::uint64_t huge_page_size = std::uint64_t{1} << 21;

[[nodiscard]] constexpr std::uint64_t slot_magic(Layout layout) noexcept {
  return layout == Layout::memio24 ? 0x4F42'5255'545F'4F54 : 0x5455'5242'4F53'4852;
}
[[nodiscard]] constexpr std::uint64_t header_size(Layout layout) noexcept {
  return layout == Layout::memio24 ? 24 : 64;
}

// The first 24 bytes of a slot, in both layouts.
struct SlotHeader {
  std::uint64_t magic;
  std::uint64_t version;  // the caller's label
  std::uint64_t length;   // bytes of payload in use
};
static_assert(sizeof(SlotHeader) == 24);

// `Directory::latest` packs the publish sequence with the index of the slot that holds it, so that one load reads
// both and one store publishes both. Sequence 0 means that nothing has been published yet. In a classic region, which
// has one slot, the index field is 1 while a write is under way and 0 otherwise: a seqlock.
inline constexpr unsigned index_bits = 6;
inline constexpr std::uint64_t index_mask = (std::uint64_t{1} << index_bits) - 1;
[[nodiscard]] constexpr std::uint64_t pack_latest(std::uint64_t sequence, std::uint64_t index) noexcept {
  return sequence << index_bits | index;
}
[[nodiscard]] constexpr std::uint64_t sequence_of(std::uint64_t latest) noexcept { return latest >> index_bits; }
[[nodiscard]] constexpr unsigned index_of(std::uint64_t latest) noexcept {
  return static_cast<unsigned>(latest & index_mask);
}

inline constexpr std::uint64_t directory_magic = 0x5249'444F'494D'454D;    // "MEMIODIR"
inline constexpr std::uint64_t lease_table_magic = 0x4C54'424F'494D'454D;  // "MEMIOBTL"

// One page after the last slot. Only writers can write it.
struct Directory {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;
  std::uint64_t stride;
  std::uint64_t capacity;
  std::uint32_t header_size;
  std::array<std::uint8_t, 28> reserved;

  alignas(64) std::atomic<std::uint64_t> latest;

  // The writer lock, a futex: 0, or the holder's cell + 1, with `writer_waiting` set while somebody sleeps on it.
  alignas(64) std::atomic<std::uint32_t> writer;
};
inline constexpr std::uint32_t writer_waiting = std::uint32_t{1} << 31;
static_assert(offsetof(Directory, latest) == 64 && offsetof(Directory, writer) == 128 && sizeof(Directory) == 192);

// A cache line of one open handle: its owner writes it, writers read it, the broker clears it when the owner is gone.
struct alignas(64) Cell {
  std::atomic<std::uint64_t> leases;  // bit i: slot i may not be written
  // 0, or the sequence whose publisher is to ring the doorbell: the owner has seen all before it and may be asleep.
  std::atomic<std::uint64_t> armed;
  // Not 0: the broker rings the doorbell when it clears this cell, so that those who depend on the owner look.
  std::atomic<std::uint32_t> will;
};
static_assert(sizeof(Cell) == 64 && offsetof(Cell, will) == 16);

// The lease table, a memfd of its own that every opener can write.
struct LeaseTable {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t cell_count;                           // cells there is room for
  alignas(64) std::atomic<std::uint32_t> cells_used;  // no cell from this one on is in use; the broker's to write
  // A futex: 1 while a writer sleeps until a lease ends.
  alignas(64) std::atomic<std::uint32_t> slot_wanted;
  // The broker's own notes, for one that has lost all that it knew. Every opener can change them.
  alignas(64) std::atomic<std::uint64_t> generation;
  std::atomic<std::uint32_t> removed;  // not 0: the region has lost its name
  Cell cells[1];                       // `cell_count` of them
};
static_assert(offsetof(LeaseTable, cells_used) == 64 && offsetof(LeaseTable, slot_wanted) == 128 &&
              offsetof(LeaseTable, generation) == 192 && offsetof(LeaseTable, cells) == 256);

// Bytes of a lease table for `cells` handles, a multiple of the page size.
[[nodiscard]] std::uint64_t lease_table_size(std::uint32_t cells) noexcept;

}  // namespace format

// Where things are in a region. What the broker says about a region is a Geometry; what the memory says is only ever
// compared with it.
struct Geometry {
  Layout layout = Layout::memio64;
  std::uint32_t slots = 4;
  std::uint64_t capacity = 0;  // payload bytes a slot can hold
  std::uint64_t stride = 0;    // bytes from slot to slot, a multiple of the page size
  bool huge_pages = false;     // whoever maps it asks for huge pages

  // Computes the stride and checks the limits; errors: invalid_capacity, invalid_slots.
  static Result<Geometry> make(Layout layout, std::uint64_t slots, std::uint64_t capacity, bool huge_pages = false);

  [[nodiscard]] bool classic() const noexcept { return slots == 1; }
  [[nodiscard]] std::uint64_t slot_offset(unsigned index) const noexcept { return index * stride; }
  [[nodiscard]] std::uint64_t payload_offset(unsigned index) const noexcept {
    return slot_offset(index) + format::header_size(layout);
  }
  [[nodiscard]] std::uint64_t directory_offset() const noexcept { return slots * stride; }
  [[nodiscard]] std::uint64_t total_size() const noexcept;

  bool operator==(const Geometry&) const = default;
};

[[nodiscard]] std::uint64_t page_size() noexcept;
[[nodiscard]] std::uint64_t round_to_page(std::uint64_t bytes) noexcept;  // up

namespace format {

// Writes a new region's directory and slot headers into zeroed memory of total_size() bytes.
void initialise_directory(Directory& directory, const Geometry& geometry) noexcept;
[[nodiscard]] SlotHeader initial_header(Layout layout) noexcept;
void initialise_lease_table(LeaseTable& table, std::uint32_t cells) noexcept;

// Whether the fixed fields of a directory agree with what the broker said. Error: corrupt, naming the field.
Result<void> check_directory(const Directory& directory, const Geometry& geometry);

// Whether a slot header can be true. Error: corrupt. Allocates nothing.
Result<void> check_header(const SlotHeader& header, const Geometry& geometry) noexcept;

}  // namespace format
}  // namespace memio

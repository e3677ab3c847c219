// SPDX-License-Identifier: MIT
#pragma once

// The bytes of a stream's ring: the payload of the region `<name>__ctrl`. STREAM_FORMAT.md beside this folder explains
// the format and the protocol over it; this header is its layout in C++.

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "memio/result.h"

namespace memio {

namespace format {

inline constexpr std::uint32_t stream_version = 1;
inline constexpr std::uint32_t max_buffers = 64;
inline constexpr std::uint64_t max_chunk_size = 0xffff'ffff;
inline constexpr std::uint64_t stream_magic = 0x5254'534F'494D'454D;  // "MEMIOSTR"
inline constexpr std::uint64_t unknown_length = ~std::uint64_t{0};

// Header and entries are MemioTauri's control buffer.
struct RingHeader {
  std::atomic<std::uint32_t> head;  // entries given back; the reader moves it
  std::atomic<std::uint32_t> tail;  // entries put in; the writer moves it
  std::uint32_t capacity;
  std::uint32_t entry_size;
};
static_assert(sizeof(RingHeader) == 16);

struct RingEntry {
  std::uint32_t buffer_index;
  std::uint32_t length;
  std::uint64_t offset;
  std::uint32_t finalize;
  std::uint32_t reserved;
};
static_assert(sizeof(RingEntry) == 24);

struct StreamDescription {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t buffers;
  std::uint64_t chunk_size;
  std::uint64_t total_length;
  std::array<std::uint8_t, 32> reserved;
};
static_assert(sizeof(StreamDescription) == 64);

enum class StreamState : std::uint32_t { open = 0, finished = 1, given_up = 2 };

struct StreamSide {
  std::atomic<std::uint32_t> joined;  // 0, or the side's cell + 1
  std::atomic<std::uint32_t> state;   // a StreamState, or a lie
  std::atomic<std::uint32_t> waits;
  std::uint32_t reason_length;
  std::array<char, 176> reason;
  std::array<std::uint8_t, 64> reserved;
};
static_assert(sizeof(StreamSide) == 256);

// Where things are in a ring for so many entries.
[[nodiscard]] constexpr std::uint64_t entry_offset(std::uint32_t index) noexcept {
  return sizeof(RingHeader) + std::uint64_t{index} * sizeof(RingEntry);
}
[[nodiscard]] constexpr std::uint64_t description_offset(std::uint32_t capacity) noexcept {
  return (entry_offset(capacity) + 63) / 64 * 64;
}
[[nodiscard]] constexpr std::uint64_t writer_side_offset(std::uint32_t capacity) noexcept {
  return description_offset(capacity) + sizeof(StreamDescription);
}
[[nodiscard]] constexpr std::uint64_t reader_side_offset(std::uint32_t capacity) noexcept {
  return writer_side_offset(capacity) + sizeof(StreamSide);
}
[[nodiscard]] constexpr std::uint64_t ring_size(std::uint32_t capacity) noexcept {
  return reader_side_offset(capacity) + sizeof(StreamSide);
}

}  // namespace format

// What a stream is made of. What the ring says is checked once, when it is joined, and kept.
struct StreamShape {
  std::uint32_t buffers = 4;
  std::uint64_t chunk_size = std::uint64_t{1} << 20;
  std::optional<std::uint64_t> total_length{};  // a claim, to show progress with

  // Checks the limits. Errors: invalid_slots (the number of buffers), invalid_capacity (the size of a chunk).
  static Result<StreamShape> make(std::uint64_t buffers, std::uint64_t chunk_size,
                                  std::optional<std::uint64_t> total_length);

  bool operator==(const StreamShape&) const = default;
};

namespace format {

// The names of a stream's regions.
[[nodiscard]] std::string ring_name(std::string_view stream);
[[nodiscard]] std::string buffer_name(std::string_view stream, std::uint32_t index);

// Writes a new stream's ring into zeroed memory of ring_size(), which is aligned to 64 bytes.
void initialise_ring(std::span<std::byte> ring, const StreamShape& shape) noexcept;

// Reads back what a ring is, checked against the size of its memory (at least a multiple of 64 in address). Error:
// corrupt, naming the field.
Result<StreamShape> check_ring(std::span<const std::byte> ring);

}  // namespace format
}  // namespace memio

// SPDX-License-Identifier: MIT
#include "memio/stream_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "byte_tables.h"

namespace memio {
namespace {

using format::RingEntry;
using format::RingHeader;
using format::StreamDescription;
using format::StreamSide;
using testing::HasSubstr;
using testing_tables::Image;
using testing_tables::Row;

std::vector<Row> documented(const std::string& heading) {
  return testing_tables::documented_in("STREAM_FORMAT.md", heading);
}

// The tables of MemioTauri's document of its control buffer, as they stand there.
constexpr const char* memio_tauri_header = R"(
offset  size  field
0       4     head (u32)
4       4     tail (u32)
8       4     capacity (u32)
12      4     entry_size (u32)
)";
constexpr const char* memio_tauri_entry = R"(
offset  size  field
0       4     buffer_index (u32)
4       4     length (u32)
8       8     offset (u64)
16      4     finalize (u32)
20      4     reserved (u32)
)";

std::vector<Row> rows_of(const std::string& table) {
  std::vector<Row> rows;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Row row;
    if (words >> row.offset >> row.bytes >> row.field) rows.push_back(row);
  }
  return rows;
}

const std::vector<Row> header_rows = {ROW(RingHeader, head), ROW(RingHeader, tail), ROW(RingHeader, capacity),
                                      ROW(RingHeader, entry_size)};
const std::vector<Row> entry_rows = {ROW(RingEntry, buffer_index), ROW(RingEntry, length), ROW(RingEntry, offset),
                                     ROW(RingEntry, finalize), ROW(RingEntry, reserved)};

TEST(StreamFormat, HeaderAndEntriesAreThoseOfMemioTauri) {
  EXPECT_EQ(header_rows, rows_of(memio_tauri_header));
  EXPECT_EQ(entry_rows, rows_of(memio_tauri_entry));
  EXPECT_EQ(sizeof(RingHeader), 16U) << "the entries begin right behind the header";
  EXPECT_EQ(sizeof(RingEntry), 24U);
}

TEST(StreamFormat, LaysOutTheRingAsDocumented) {
  EXPECT_EQ(documented("Ring header"), header_rows);
  EXPECT_EQ(documented("Ring entry"), entry_rows);
  EXPECT_EQ(documented("Description"),
            (std::vector<Row>{ROW(StreamDescription, magic), ROW(StreamDescription, version),
                              ROW(StreamDescription, buffers), ROW(StreamDescription, chunk_size),
                              ROW(StreamDescription, total_length), ROW(StreamDescription, reserved)}));
  EXPECT_EQ(documented("Side"),
            (std::vector<Row>{ROW(StreamSide, joined), ROW(StreamSide, state), ROW(StreamSide, waits),
                              ROW(StreamSide, reason_length), ROW(StreamSide, reason), ROW(StreamSide, reserved)}));
}

TEST(StreamFormat, PutsThePartsBehindOneAnother) {
  EXPECT_EQ(format::entry_offset(0), 16U);
  EXPECT_EQ(format::entry_offset(3), 16U + 72);
  struct Case {
    std::uint32_t capacity;
    std::uint64_t description;
  };
  for (const auto& [capacity, description] :
       {Case{1, 64}, Case{2, 64}, Case{4, 128}, Case{8, 256}, Case{16, 448}, Case{32, 832}, Case{64, 1600}}) {
    EXPECT_EQ(format::description_offset(capacity), description);
    EXPECT_EQ(format::writer_side_offset(capacity), description + 64);
    EXPECT_EQ(format::reader_side_offset(capacity), description + 320);
    EXPECT_EQ(format::ring_size(capacity), description + 64 + 512);
  }
}

// A ring in memory that is aligned as a payload is.
struct Ring {
  explicit Ring(const StreamShape& shape) { format::initialise_ring(bytes(shape.buffers), shape); }
  std::span<std::byte> bytes(std::uint32_t buffers) {
    return {reinterpret_cast<std::byte*>(&image.object()), format::ring_size(buffers)};
  }
  struct Page {
    std::array<std::byte, testing_tables::page> bytes;
  };
  Image<Page> image;
};

TEST(StreamFormat, BeginsARingWithTheseBytes) {
  Ring ring({4, 1'000'000, 5'000'000'000});
  const auto& image = ring.image;
  EXPECT_EQ(image.number(8, 4), 4U);
  EXPECT_EQ(image.number(12, 4), 24U);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(ring.bytes(4).data()) + 128, 8), "MEMIOSTR");
  EXPECT_EQ(image.number(136, 4), 1U);
  EXPECT_EQ(image.number(140, 4), 4U);
  EXPECT_EQ(image.number(144, 8), 1'000'000U);
  EXPECT_EQ(image.number(152, 8), 5'000'000'000U);
  for (const auto& [from, to] : {std::pair{0, 8}, {16, 128}, {160, 4096}})
    for (int i = from; i < to; ++i) EXPECT_EQ(image.number(static_cast<std::size_t>(i), 1), 0U) << i;
  EXPECT_EQ(Ring({1, 1, std::nullopt}).image.number(64 + 24, 8), ~std::uint64_t{0}) << "a length that is not known";
}

TEST(StreamFormat, NamesTheRegions) {
  EXPECT_EQ(format::ring_name("a/b"), "a/b__ctrl");
  EXPECT_EQ(format::buffer_name("a/b", 12), "a/b__data_12");
}

TEST(StreamShape, HasLimits) {
  for (const std::uint64_t buffers : {1U, 2U, 4U, 8U, 16U, 32U, 64U}) EXPECT_TRUE(StreamShape::make(buffers, 1, {}));
  for (const std::uint64_t buffers : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{65}, std::uint64_t{128},
                                      std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    const auto shape = StreamShape::make(buffers, 1, {});
    ASSERT_FALSE(shape) << buffers;
    EXPECT_EQ(shape.error().code, Errc::invalid_slots);
    EXPECT_THAT(shape.error().message, HasSubstr(std::to_string(buffers)));
  }
  EXPECT_TRUE(StreamShape::make(4, 0xffff'ffff, {}));
  for (const std::uint64_t chunk_size : {std::uint64_t{0}, std::uint64_t{1} << 32}) {
    const auto shape = StreamShape::make(4, chunk_size, {});
    ASSERT_FALSE(shape) << chunk_size;
    EXPECT_EQ(shape.error().code, Errc::invalid_capacity);
    EXPECT_THAT(shape.error().message, HasSubstr(std::to_string(chunk_size)));
  }
}

TEST(CheckRing, ReadsBackWhatWasWritten) {
  for (const std::uint32_t buffers : {1U, 2U, 4U, 8U, 16U, 32U, 64U}) {
    for (const std::optional<std::uint64_t> length : {std::optional<std::uint64_t>(), {0}, {7}}) {
      const StreamShape shape{buffers, 0xffff'ffff, length};
      Ring ring(shape);
      const auto read = format::check_ring(ring.bytes(buffers));
      ASSERT_TRUE(read) << read.error().text();
      EXPECT_EQ(*read, shape);
    }
  }
}

TEST(CheckRing, NamesTheFieldThatIsImpossible) {
  const auto reason = [](auto damage, std::uint64_t size = format::ring_size(4)) {
    Ring ring({4, 1000, std::nullopt});
    auto bytes = ring.bytes(64).first(size);
    const auto at = [&](std::size_t offset) -> std::uint32_t& {
      return *reinterpret_cast<std::uint32_t*>(ring.bytes(64).data() + offset);
    };
    damage(at);
    const auto checked = format::check_ring(bytes);
    if (!checked) {
      EXPECT_EQ(checked.error().code, Errc::corrupt);
    }
    return checked ? std::string("nothing") : checked.error().message;
  };
  EXPECT_EQ(reason([](auto) {}), "nothing");
  EXPECT_THAT(reason([](auto) {}, 0), HasSubstr("size"));
  EXPECT_THAT(reason([](auto) {}, format::ring_size(1) - 1), HasSubstr("size"));
  EXPECT_THAT(reason([](auto) {}, format::ring_size(4) - 1), HasSubstr("size"));
  EXPECT_THAT(reason([](auto) {}, format::ring_size(4) + 1), HasSubstr("size"));
  for (const std::uint32_t capacity : {0U, 3U, 65U, 128U, 0x8000'0000U, 0xffff'ffffU})
    EXPECT_THAT(reason([&](auto at) { at(8) = capacity; }), HasSubstr("capacity")) << capacity;
  EXPECT_THAT(reason([](auto at) { at(8) = 64; }), HasSubstr("size")) << "the description would be outside";
  EXPECT_THAT(reason([](auto at) { at(12) = 32; }), HasSubstr("entry size"));
  EXPECT_THAT(reason([](auto at) { at(128) ^= 1; }), HasSubstr("magic"));
  EXPECT_THAT(reason([](auto at) { at(136) = 2; }), HasSubstr("format version"));
  EXPECT_THAT(reason([](auto at) { at(140) = 8; }), HasSubstr("number of buffers"));
  EXPECT_THAT(reason([](auto at) { at(144) = 0; }), HasSubstr("chunk size"));
  EXPECT_THAT(reason([](auto at) { at(148) = 1; }), HasSubstr("chunk size"));
  EXPECT_EQ(reason([](auto at) { at(160) = 1; }), "nothing") << "reserved bytes are for later versions";
}

}  // namespace
}  // namespace memio

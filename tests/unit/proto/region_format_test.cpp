// SPDX-License-Identifier: MIT
#include "memio/region_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "byte_tables.h"

namespace memio {
namespace {

using format::Cell;
using format::Directory;
using format::LeaseTable;
using format::SlotHeader;
using testing::HasSubstr;

using testing_tables::documented_in;
using testing_tables::Image;
using testing_tables::page;
using testing_tables::Row;

std::vector<Row> documented(const std::string& heading) { return documented_in("REGION_FORMAT.md", heading); }

TEST(RegionFormat, LaysOutASlotHeaderAsDocumented) {
  EXPECT_EQ(documented("Slot header"),
            (std::vector<Row>{ROW(SlotHeader, magic), ROW(SlotHeader, version), ROW(SlotHeader, length)}));
}

TEST(RegionFormat, LaysOutTheDirectoryAsDocumented) {
  EXPECT_EQ(documented("Directory page"),
            (std::vector<Row>{ROW(Directory, magic), ROW(Directory, version), ROW(Directory, slots),
                              ROW(Directory, stride), ROW(Directory, capacity), ROW(Directory, header_size),
                              ROW(Directory, reserved), ROW(Directory, latest), ROW(Directory, writer)}));
}

TEST(RegionFormat, LaysOutTheLeaseTableAsDocumented) {
  EXPECT_EQ(documented("Lease table"),
            (std::vector<Row>{ROW(LeaseTable, magic), ROW(LeaseTable, version), ROW(LeaseTable, cell_count),
                              ROW(LeaseTable, cells_used), ROW(LeaseTable, slot_wanted), ROW(LeaseTable, generation),
                              ROW(LeaseTable, removed), ROW(LeaseTable, cells)}));
  EXPECT_EQ(documented("Cell"), (std::vector<Row>{ROW(Cell, leases), ROW(Cell, armed), ROW(Cell, will)}));
  EXPECT_EQ(sizeof(Cell), 64U);
}

TEST(RegionFormat, BeginsADirectoryWithTheseBytes) {
  Image<Directory> image;
  const auto geometry = Geometry::make(Layout::memio24, 3, 10'000);
  ASSERT_TRUE(geometry);
  format::initialise_directory(image.object(), *geometry);
  EXPECT_EQ(image.number(0, 8), 0x5249444F494D454DU);
  EXPECT_EQ(image.number(8, 4), 1U);
  EXPECT_EQ(image.number(12, 4), 3U);
  EXPECT_EQ(image.number(16, 8), 12'288U);
  EXPECT_EQ(image.number(24, 8), 10'000U);
  EXPECT_EQ(image.number(32, 4), 24U);
  for (std::size_t i = 36; i < page; i += 4) EXPECT_EQ(image.number(i, 4), 0U) << i;
}

TEST(RegionFormat, BeginsALeaseTableWithTheseBytes) {
  Image<LeaseTable> image;
  format::initialise_lease_table(image.object(), 57);
  EXPECT_EQ(image.number(0, 8), 0x4C54424F494D454DU);
  EXPECT_EQ(image.number(8, 4), 1U);
  EXPECT_EQ(image.number(12, 4), 57U);
  for (std::size_t i = 16; i < page; i += 4) EXPECT_EQ(image.number(i, 4), 0U) << i;
  image.object().cells[1].armed = 5;
  EXPECT_EQ(image.number(256 + 64 + 8, 8), 5U);
  image.object().cells[1].will = 1;
  EXPECT_EQ(image.number(256 + 64 + 16, 4), 1U);
}

TEST(RegionFormat, BeginsEachSlotWithTheMagicOfItsLayout) {
  const auto header = format::initial_header(Layout::memio24);
  EXPECT_EQ(header.magic, 0x4F425255545F4F54U);
  EXPECT_EQ(header.version, 0U);
  EXPECT_EQ(header.length, 0U);
  EXPECT_EQ(format::initial_header(Layout::memio64).magic, 0x545552424F534852U);
  EXPECT_EQ(format::header_size(Layout::memio24), 24U);
  EXPECT_EQ(format::header_size(Layout::memio64), 64U);
}

TEST(RegionFormat, MakesALeaseTableOfWholePages) {
  EXPECT_EQ(format::lease_table_size(0), page);
  EXPECT_EQ(format::lease_table_size(60), page);  // 256 + 60 * 64 is a page
  EXPECT_EQ(format::lease_table_size(61), 2 * page);
  EXPECT_EQ(format::lease_table_size(format::max_cells), (256 + 4096 * 64 + page - 1) / page * page);
}

TEST(Latest, PacksTheSequenceWithTheSlot) {
  for (const std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 58) - 1}) {
    for (const unsigned index : {0U, 1U, 63U}) {
      const auto latest = format::pack_latest(sequence, index);
      EXPECT_EQ(latest, sequence * 64 + index);
      EXPECT_EQ(format::sequence_of(latest), sequence);
      EXPECT_EQ(format::index_of(latest), index);
    }
  }
}

TEST(Geometry, PutsSlotsOnPageBoundariesAndTheDirectoryAfterThem) {
  struct Case {
    Layout layout;
    std::uint64_t slots, capacity, stride;
  };
  const std::vector<Case> cases = {
      {Layout::memio64, 1, 1, page},
      {Layout::memio64, 4, page - 64, page},
      {Layout::memio64, 4, page - 63, 2 * page},
      {Layout::memio24, 2, page - 24, page},
      {Layout::memio24, 2, page - 23, 2 * page},
      {Layout::memio64, 64, 10 << 20, (10 << 20) + page},
      {Layout::memio64, 64, format::max_capacity, format::max_capacity + page},
  };
  for (const auto& [layout, slots, capacity, stride] : cases) {
    const auto geometry = Geometry::make(layout, slots, capacity);
    ASSERT_TRUE(geometry) << geometry.error().text();
    EXPECT_EQ(geometry->stride, stride);
    EXPECT_EQ(geometry->directory_offset(), slots * stride);
    EXPECT_EQ(geometry->total_size(), slots * stride + page);
    EXPECT_EQ(geometry->classic(), slots == 1);
    for (unsigned slot = 0; slot < slots; ++slot) {
      EXPECT_EQ(geometry->slot_offset(slot), slot * stride);
      const auto end = geometry->payload_offset(slot) + capacity;
      EXPECT_LE(end, (slot + 1) * stride);
      EXPECT_LE(end, geometry->directory_offset());
    }
  }
}

TEST(Geometry, RefusesWhatIsBeyondItsLimits) {
  for (const std::uint64_t slots :
       {std::uint64_t{0}, std::uint64_t{65}, std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 4, ~std::uint64_t{0}}) {
    const auto geometry = Geometry::make(Layout::memio64, slots, 1);
    ASSERT_FALSE(geometry) << slots;
    EXPECT_EQ(geometry.error().code, Errc::invalid_slots);
    EXPECT_THAT(geometry.error().message, HasSubstr(std::to_string(slots)));
  }
  for (const std::uint64_t capacity :
       {std::uint64_t{0}, format::max_capacity + 1, ~std::uint64_t{0}, ~std::uint64_t{0} - 63}) {
    const auto geometry = Geometry::make(Layout::memio64, 4, capacity);
    ASSERT_FALSE(geometry) << capacity;
    EXPECT_EQ(geometry.error().code, Errc::invalid_capacity);
    EXPECT_THAT(geometry.error().message, HasSubstr(std::to_string(capacity)));
  }
}

TEST(CheckDirectory, NamesTheFieldThatDisagrees) {
  const auto geometry = Geometry::make(Layout::memio64, 4, 1000);
  ASSERT_TRUE(geometry);
  const auto reason = [&](auto damage) {
    Image<Directory> image;
    format::initialise_directory(image.object(), *geometry);
    damage(image.object());
    const auto checked = format::check_directory(image.object(), *geometry);
    if (!checked) {
      EXPECT_EQ(checked.error().code, Errc::corrupt);
    }
    return checked ? std::string("nothing") : checked.error().message;
  };
  EXPECT_EQ(reason([](Directory&) {}), "nothing");
  EXPECT_THAT(reason([](Directory& d) { d.magic ^= 1; }), HasSubstr("magic"));
  EXPECT_THAT(reason([](Directory& d) { d.version = 2; }), HasSubstr("format version"));
  EXPECT_THAT(reason([](Directory& d) { d.slots = 5; }), HasSubstr("number of slots"));
  EXPECT_THAT(reason([](Directory& d) { d.stride += 1; }), HasSubstr("stride"));
  EXPECT_THAT(reason([](Directory& d) { d.capacity = ~std::uint64_t{0}; }), HasSubstr("capacity"));
  EXPECT_THAT(reason([](Directory& d) { d.header_size = 24; }), HasSubstr("header size"));
  EXPECT_EQ(reason([](Directory& d) { d.reserved.fill(0xff); }), "nothing") << "reserved bytes are for later versions";
}

TEST(CheckHeader, AcceptsOnlyTheRightMagicAndLengthsThatFit) {
  const auto geometry = Geometry::make(Layout::memio64, 4, 1000);
  ASSERT_TRUE(geometry);
  const auto magic = format::slot_magic(Layout::memio64);
  EXPECT_TRUE(format::check_header({magic, 7, 0}, *geometry));
  EXPECT_TRUE(format::check_header({magic, ~std::uint64_t{0}, 1000}, *geometry));
  EXPECT_FALSE(format::check_header({magic, 7, 1001}, *geometry));
  EXPECT_FALSE(format::check_header({magic, 7, ~std::uint64_t{0}}, *geometry));
  EXPECT_FALSE(format::check_header({format::slot_magic(Layout::memio24), 7, 1}, *geometry));
  EXPECT_FALSE(format::check_header({0, 0, 0}, *geometry));
}

}  // namespace
}  // namespace memio

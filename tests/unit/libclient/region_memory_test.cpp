// SPDX-License-Identifier: MIT
#include "region_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_region.h"

namespace memio {
namespace {

using protocol::Access;
using test::TestRegion;
using testing::HasSubstr;

TEST(RegionMemory, FindsSlotsDirectoryAndCellsWhereTheGeometryPutsThem) {
  TestRegion region(4, 5000, Layout::memio24);
  const auto memory = region.open_writer();
  memory.payload(3)[4999] = std::byte{7};
  EXPECT_EQ(region.payload(3)[4999], std::byte{7});
  EXPECT_EQ(memory.header(3).magic, format::slot_magic(Layout::memio24));
  EXPECT_EQ(memory.payload(0).size(), 5000U);
  memory.directory().latest = 42;
  EXPECT_EQ(region.directory().latest, 42U);
  memory.own_cell().leases = 9;
  EXPECT_EQ(region.cell(memory.cell_index()).leases, 9U);
  EXPECT_EQ(memory.cells().size(), 1U);
}

TEST(RegionMemory, RefusesACellOutsideTheTable) {
  TestRegion region(4);
  auto parts = region.parts(Access::read);
  parts.cell = parts.cells;
  EXPECT_EQ(RegionMemory::map(std::move(parts)).error().code, Errc::protocol_violation);
  parts = region.parts(Access::read);
  parts.cells = format::max_cells + 1;
  EXPECT_EQ(RegionMemory::map(std::move(parts)).error().code, Errc::protocol_violation);
}

TEST(RegionMemory, RefusesFilesShorterThanTheGeometrySays) {
  TestRegion region(4);
  auto parts = region.parts(Access::read);
  parts.geometry = Geometry::make(Layout::memio64, 5, 1000).value();
  auto result = RegionMemory::map(std::move(parts));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::corrupt);
  EXPECT_THAT(result.error().message, HasSubstr("20480 bytes where 24576 were said"));

  parts = region.parts(Access::read);
  parts.cells = format::max_cells;  // the lease table's file has room for 16
  EXPECT_EQ(RegionMemory::map(std::move(parts)).error().code, Errc::corrupt);
}

TEST(RegionMemory, RefusesADirectoryThatDisagreesWithMemiod) {
  TestRegion region(4);
  region.directory().slots = 64;
  const auto result = RegionMemory::map(region.parts(Access::read));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::corrupt);
  EXPECT_THAT(result.error().message, HasSubstr("number of slots"));
}

TEST(RegionMemory, ReportsADescriptorThatCannotBeMappedForWriting) {
  TestRegion region(4);
  auto parts = region.parts(Access::read);
  parts.access = Access::write;
  const auto result = RegionMemory::map(std::move(parts));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::system);
  EXPECT_EQ(result.error().system_errno, EACCES);
}

TEST(RegionMemory, NeverLooksAtMoreCellsThanTheBrokerSaid) {
  TestRegion region(4);
  const auto memory = region.open_reader();
  for (const std::uint32_t lie : {~0U, 17U, format::max_cells}) {
    region.table().cells_used = lie;
    EXPECT_EQ(memory.cells().size(), TestRegion::cells);
  }
  region.table().cells_used = 0;
  EXPECT_TRUE(memory.cells().empty());
}

}  // namespace
}  // namespace memio

// SPDX-License-Identifier: MIT
#include "memio/shrink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "memio/unique_fd.h"

namespace memio::format {
namespace {

// A file laid out as a region of four slots of three pages each, all of it filled.
class Shrink : public testing::Test {
 protected:
  Geometry geometry_ = *Geometry::make(Layout::memio64, 4, 3 * page_size() - 64);
  UniqueFd file_{::memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING)};

  void SetUp() override {
    const std::vector<std::byte> full(geometry_.total_size(), std::byte{7});
    ASSERT_EQ(::write(file_.get(), full.data(), full.size()), static_cast<ssize_t>(full.size()));
  }
  void set_length(unsigned slot, std::uint64_t length) {
    const SlotHeader header{slot_magic(geometry_.layout), 1, length};
    ASSERT_EQ(::pwrite(file_.get(), &header, sizeof header, static_cast<off_t>(geometry_.slot_offset(slot))),
              static_cast<ssize_t>(sizeof header));
  }
  Extent unneeded(unsigned slot, unsigned latest, std::uint64_t leases = 0) {
    return unneeded_part(file_.get(), geometry_, slot, pack_latest(9, latest), leases);
  }
  [[nodiscard]] std::uint64_t memory() const {
    struct stat status {};
    ::fstat(file_.get(), &status);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
};

TEST_F(Shrink, AllOfAStaleSlotIsUnneeded) {
  const auto extent = unneeded(2, 0);
  EXPECT_EQ(extent.offset, geometry_.slot_offset(2));
  EXPECT_EQ(extent.length, geometry_.stride);
}

TEST_F(Shrink, OfTheLatestOnlyWholePagesBehindThePayload) {
  const auto page = page_size();
  for (const auto& [length, kept] : {std::pair<std::uint64_t, std::uint64_t>{0, page},
                                     {1, page},
                                     {page - 64, page},
                                     {page - 63, 2 * page},
                                     {geometry_.capacity, 3 * page}}) {
    set_length(1, length);
    const auto extent = unneeded(1, 1);
    EXPECT_EQ(extent.offset, geometry_.slot_offset(1) + kept) << length;
    EXPECT_EQ(extent.offset + extent.length, geometry_.slot_offset(2)) << length;
  }
}

TEST_F(Shrink, NothingOfALeasedSlotOrOfOneThatLies) {
  EXPECT_EQ(unneeded(2, 0, 1 << 2).length, 0U);
  EXPECT_EQ(unneeded(2, 0, 1 << 3).length, geometry_.stride);
  set_length(1, geometry_.capacity + 1);
  EXPECT_EQ(unneeded(1, 1).length, 0U);
}

TEST_F(Shrink, AHoleGivesItsMemoryBackAndReadsAsZeros) {
  const auto before = memory();
  const auto freed = punch_hole(file_.get(), unneeded(2, 0));
  ASSERT_TRUE(freed) << freed.error().text();
  EXPECT_EQ(*freed, geometry_.stride);
  EXPECT_EQ(memory(), before - geometry_.stride);
  std::array<char, 4> bytes{};
  ASSERT_EQ(::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(geometry_.slot_offset(2))), 4);
  EXPECT_EQ(bytes, (std::array<char, 4>{}));
  ASSERT_EQ(::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(geometry_.slot_offset(3))), 4);
  EXPECT_EQ(bytes, (std::array<char, 4>{7, 7, 7, 7}));
  EXPECT_EQ(*punch_hole(file_.get(), unneeded(2, 0)), 0U) << "it is gone already";
}

TEST_F(Shrink, ASealedFileKeepsItsMemory) {
  ASSERT_EQ(::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  EXPECT_EQ(punch_hole(file_.get(), unneeded(2, 0)).error().code, Errc::read_only);
}

TEST_F(Shrink, ReadersCannotPunchHoles) {
  const UniqueFd reader(::open(("/proc/self/fd/" + std::to_string(file_.get())).c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(punch_hole(reader.get(), unneeded(2, 0)).error().code, Errc::system);
}

TEST(LeasesOfOthers, AreThoseOfAllCellsButOne) {
  std::array<Cell, 3> cells{};
  cells[0].leases = 1;
  cells[1].leases = 2;
  cells[2].leases = 4;
  EXPECT_EQ(leases_of_others(cells, 1), 5U);
  EXPECT_EQ(leases_of_others(cells, 7), 7U);
}

}  // namespace
}  // namespace memio::format

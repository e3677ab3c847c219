// SPDX-License-Identifier: MIT
#include "region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace memio::broker {
namespace {

constexpr std::uint32_t cells = 8;

std::shared_ptr<Region> make_region(std::uint64_t slots = 4) {
  auto region = Region::create({.name = "a",
                                .geometry = *Geometry::make(Layout::memio64, slots, 100),
                                .lifetime = protocol::Lifetime::session,
                                .generation = 1,
                                .cells = cells});
  EXPECT_TRUE(region);
  return *region;
}

// The memory as an opener maps it.
class Mapped {
 public:
  explicit Mapped(const Region& region)
      : fds_(std::move(*region.fds_for(Access::write))), geometry_(region.geometry()) {
    memory_ = ::mmap(nullptr, geometry_.total_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fds_.region.get(), 0);
    leases_ =
        ::mmap(nullptr, format::lease_table_size(cells), PROT_READ | PROT_WRITE, MAP_SHARED, fds_.leases.get(), 0);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    ::munmap(memory_, geometry_.total_size());
    ::munmap(leases_, format::lease_table_size(cells));
  }
  format::Directory& directory() {
    return *reinterpret_cast<format::Directory*>(static_cast<std::byte*>(memory_) + geometry_.directory_offset());
  }
  format::SlotHeader& header(unsigned slot) {
    return *reinterpret_cast<format::SlotHeader*>(static_cast<std::byte*>(memory_) + geometry_.slot_offset(slot));
  }
  format::LeaseTable& leases() { return *static_cast<format::LeaseTable*>(leases_); }
  bool has_rung() {
    pollfd wanted{fds_.doorbell.get(), POLLIN, 0};
    return ::poll(&wanted, 1, 0) == 1;
  }

 private:
  Region::Fds fds_;
  Geometry geometry_;
  void* memory_ = nullptr;
  void* leases_ = nullptr;
};

TEST(BrokerRegion, IsSealedAndHasItsFormatsWritten) {
  const auto region = make_region();
  const auto fds = region->fds_for(Access::write);
  ASSERT_TRUE(fds);
  EXPECT_EQ(::fcntl(fds->region.get(), F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
  Mapped mapped(*region);
  EXPECT_TRUE(format::check_directory(mapped.directory(), region->geometry()));
  EXPECT_TRUE(format::check_header(mapped.header(0), region->geometry()));
  EXPECT_EQ(mapped.leases().magic, format::lease_table_magic);
  EXPECT_EQ(region->sequence(), 0U);
}

TEST(BrokerRegion, AReadDescriptorIsForReadingOnly) {
  const auto fds = make_region()->fds_for(Access::read);
  ASSERT_TRUE(fds);
  EXPECT_EQ(::fcntl(fds->region.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
}

TEST(BrokerRegion, CellsAreGivenOutOnceAndReused) {
  const auto region = make_region();
  EXPECT_EQ(*region->take_cell(), 1U) << "cell 0 is the broker's";
  EXPECT_EQ(*region->take_cell(), 2U);
  region->give_back_cell(1);
  EXPECT_EQ(*region->take_cell(), 1U);
  for (std::uint32_t i = 3; i < cells; ++i) EXPECT_EQ(*region->take_cell(), i);
  EXPECT_EQ(region->take_cell().error().code, Errc::limit_exceeded);
  EXPECT_EQ(region->handles(), cells - 1);
  Mapped mapped(*region);
  EXPECT_EQ(mapped.leases().cells_used.load(), cells);
}

TEST(BrokerRegion, TakingACellBackClearsItsTraces) {
  const auto region = make_region();
  Mapped mapped(*region);
  const auto cell = *region->take_cell();
  mapped.leases().cells[cell].leases = 0b1010;
  mapped.leases().cells[cell].armed = 5;
  mapped.directory().writer = (cell + 1) | format::writer_waiting;
  EXPECT_EQ(region->leases_of(cell), (std::vector<std::uint64_t>{1, 3}));
  EXPECT_TRUE(region->is_writing(cell));
  region->give_back_cell(cell);
  EXPECT_EQ(mapped.leases().cells[cell].leases.load(), 0U);
  EXPECT_EQ(mapped.leases().cells[cell].armed.load(), 0U);
  EXPECT_EQ(mapped.directory().writer.load(), 0U);
  EXPECT_TRUE(mapped.has_rung()) << "it may have published without ringing";
}

TEST(BrokerRegion, AWillIsClearedAndThenRung) {
  const auto region = make_region(1);
  Mapped mapped(*region);
  const auto with = *region->take_cell();
  const auto without = *region->take_cell();
  mapped.leases().cells[with].will = 7;
  region->give_back_cell(without);
  EXPECT_FALSE(mapped.has_rung()) << "nobody asked for it";
  EXPECT_EQ(mapped.leases().cells[with].will.load(), 7U);
  region->give_back_cell(with);
  EXPECT_EQ(mapped.leases().cells[with].will.load(), 0U);
  EXPECT_TRUE(mapped.has_rung());
}

TEST(BrokerRegion, AWillStaysWhenMemiodEndsAndIsDoneIfNobodyClaimsTheCell) {
  const auto region = make_region(1);
  Mapped mapped(*region);
  const auto claimed = *region->take_cell();
  const auto lost = *region->take_cell();
  for (const auto cell : {claimed, lost}) mapped.leases().cells[cell].will = 1;
  region->leave();
  for (const auto cell : {claimed, lost}) region->give_back_cell(cell);
  const auto again = Region::adopt(region->spec(), *region->fds_for(Access::write));
  ASSERT_TRUE(again) << again.error().text();
  ASSERT_TRUE((*again)->claim_cell(claimed));
  EXPECT_FALSE(mapped.has_rung());
  (*again)->clear_abandoned();
  EXPECT_TRUE(mapped.has_rung());
  EXPECT_EQ(mapped.leases().cells[lost].will.load(), 0U);
  EXPECT_EQ(mapped.leases().cells[claimed].will.load(), 1U) << "its owner is there";
}

// Its owner lost the connection and lives.
TEST(BrokerRegion, ACellThatSomebodyStillHasIsTheLastToBeGivenOut) {
  const auto region = make_region();
  const auto cell = *region->take_cell();
  auto fds = *region->fds_for(Access::read);
  Region::tie_cell(cell, fds);
  region->give_back_cell(cell);
  for (std::uint32_t i = cell + 1; i < cells; ++i) EXPECT_EQ(*region->take_cell(), i);
  EXPECT_EQ(*region->take_cell(), cell) << "rather than refusing the opener";
  region->give_back_cell(cell + 1);
  region->give_back_cell(cell);
  fds.leases.reset();
  EXPECT_EQ(*region->take_cell(), cell);
}

TEST(BrokerRegion, ACellIsGivenBackToOneThatLostOnlyItsConnection) {
  const auto region = make_region();
  const auto cell = *region->take_cell();
  auto fds = *region->fds_for(Access::read);
  Region::tie_cell(cell, fds);
  EXPECT_FALSE(region->claim_cell(cell)) << "it is taken";
  region->give_back_cell(cell);
  ASSERT_TRUE(region->claim_cell(cell));
  EXPECT_FALSE(region->claim_cell(cell));
  EXPECT_TRUE(region->taken()[cell]);
  EXPECT_NE(region->take_cell(), cell);
  region->give_back_cell(cell);
  fds.leases.reset();
  EXPECT_FALSE(region->claim_cell(cell)) << "whose owner is gone";
}

TEST(BrokerRegion, OneThatSleepsAndLostItsConnectionIsWoken) {
  const auto is_rung = [](bool lives, std::uint64_t armed, std::uint64_t sequence) {
    const auto region = make_region();
    Mapped mapped(*region);
    mapped.directory().latest = format::pack_latest(sequence, 0);
    const auto cell = *region->take_cell();
    const auto fds = *region->fds_for(Access::read);
    if (lives) Region::tie_cell(cell, fds);
    mapped.leases().cells[cell].armed = armed;
    region->give_back_cell(cell);
    EXPECT_EQ(mapped.leases().cells[cell].armed.load(), 0U);
    return mapped.has_rung();
  };
  EXPECT_TRUE(is_rung(true, 8, 7));
  EXPECT_TRUE(is_rung(true, 7, 7)) << "its publisher may be about to look whether it is to ring";
  EXPECT_FALSE(is_rung(false, 8, 7)) << "it is dead";
  EXPECT_FALSE(is_rung(true, 6, 7)) << "it has been rung long ago";
  EXPECT_FALSE(is_rung(true, 0, 0)) << "it does not sleep";
}

// Or it would arm its cell, and nobody would look.
TEST(BrokerRegion, PublishersLookAtACellAsLongAsItsOwnerLives) {
  const auto region = make_region();
  Mapped mapped(*region);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(region->take_cell());
  const auto cell = *region->take_cell();
  auto fds = *region->fds_for(Access::read);
  Region::tie_cell(cell, fds);
  region->give_back_cell(cell);
  region->give_back_cell(cell - 1);
  ASSERT_EQ(*region->take_cell(), cell - 1);
  EXPECT_EQ(mapped.leases().cells_used.load(), cell + 1);
  fds.leases.reset();
  region->give_back_cell(cell - 1);
  ASSERT_EQ(*region->take_cell(), cell - 1);
  EXPECT_EQ(mapped.leases().cells_used.load(), cell);
}

TEST(BrokerRegion, ACellWaitsForItsOwnerAsLongAsThatLives) {
  const auto region = make_region(1);
  Mapped mapped(*region);
  const auto cell = *region->take_cell();
  auto fds = *region->fds_for(Access::read);
  Region::tie_cell(cell, fds);
  mapped.leases().cells[cell].leases = 1;
  region->leave();
  region->give_back_cell(cell);
  const auto again = *Region::adopt(region->spec(), *region->fds_for(Access::write));
  again->clear_abandoned();
  EXPECT_TRUE(again->has_unclaimed());
  EXPECT_NE(again->take_cell(), cell);
  EXPECT_EQ(mapped.leases().cells[cell].leases.load(), 1U);
  // The mapping alone is as good as the descriptor, which a client need not keep.
  const auto size = format::lease_table_size(region->cells());
  void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fds.leases.get(), 0);
  ASSERT_NE(mapping, MAP_FAILED);
  fds.leases.reset();
  again->clear_abandoned();
  EXPECT_TRUE(again->has_unclaimed());
  ::munmap(mapping, size);
  again->clear_abandoned();
  EXPECT_FALSE(again->has_unclaimed());
  EXPECT_EQ(mapped.leases().cells[cell].leases.load(), 0U);
}

// One that was given the cell earlier, and one that locks all it can: neither keeps a cell from being given out.
TEST(BrokerRegion, LocksOfOthersOnTheLeaseTableKeepNobodyOut) {
  const auto region = make_region();
  const auto old = *region->fds_for(Access::read);
  const auto cell = *region->take_cell();
  Region::tie_cell(cell, old);
  region->give_back_cell(cell);
  const auto hostile = *region->fds_for(Access::read);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = cell + 1;
  ASSERT_EQ(::fcntl(hostile.leases.get(), F_OFD_SETLK, &lock), 0) << "on all others";
  for (const auto next : {cell, cell + 1}) {
    EXPECT_EQ(region->take_cell(), next);
    Region::tie_cell(next, *region->fds_for(Access::read));
  }
}

TEST(BrokerRegion, AnExclusiveOneIsNobodysToReadBeforeItIsSealed) {
  const auto region = *Region::create(
      {.name = "a", .geometry = *Geometry::make(protocol::Layout::memio64, 2, 64), .cells = 4, .exclusive = true});
  EXPECT_TRUE(region->fds_for(Access::write));
  EXPECT_EQ(region->fds_for(Access::read).error().code, Errc::permission_denied);
  ASSERT_TRUE(region->seal_against_writing());
  EXPECT_TRUE(region->fds_for(Access::read));
}

TEST(BrokerRegion, AnotherHoldersLockIsLeftAlone) {
  const auto region = make_region();
  Mapped mapped(*region);
  const auto one = *region->take_cell();
  const auto two = *region->take_cell();
  mapped.directory().writer = two + 1;
  region->give_back_cell(one);
  EXPECT_EQ(mapped.directory().writer.load(), two + 1);
  EXPECT_FALSE(mapped.has_rung());
}

TEST(BrokerRegion, LatestReadsTheHeaderOfTheSlotThatIsTheLatest) {
  const auto region = make_region();
  Mapped mapped(*region);
  mapped.header(2) = {format::slot_magic(Layout::memio64), 77, 10};
  mapped.directory().latest = format::pack_latest(5, 2);
  const auto latest = region->latest();
  EXPECT_EQ(latest.sequence, 5U);
  EXPECT_EQ(latest.version, 77U);
  EXPECT_EQ(latest.length, 10U);
}

TEST(BrokerRegion, LiesInTheMemoryAreReportedAsEmpty) {
  const auto region = make_region();
  Mapped mapped(*region);
  mapped.directory().latest = format::pack_latest(5, 63);
  EXPECT_EQ(region->latest().length, 0U);
  mapped.directory().latest = format::pack_latest(6, 1);
  mapped.header(1) = {format::slot_magic(Layout::memio64), 1, 101};
  EXPECT_EQ(region->latest().length, 0U);
  mapped.leases().cells_used = ~0U;
  EXPECT_TRUE(region->take_cell());
  EXPECT_EQ(mapped.leases().cells_used.load(), 2U) << "written from what the broker knows";
}

TEST(BrokerRegion, ArmingTellsWhetherThereIsSomethingNew) {
  const auto region = make_region();
  Mapped mapped(*region);
  EXPECT_TRUE(region->arm(0));
  EXPECT_EQ(mapped.leases().cells[0].armed.load(), 1U);
  mapped.directory().latest = format::pack_latest(1, 0);
  EXPECT_FALSE(region->arm(0));
  region->disarm();
  EXPECT_EQ(mapped.leases().cells[0].armed.load(), 0U);
}

TEST(BrokerRegion, RingingAFullDoorbellDoesNotBlock) {
  const auto region = make_region();
  Mapped mapped(*region);
  const auto fds = region->fds_for(Access::read);
  const std::uint64_t full = ~std::uint64_t{0} - 1;
  ASSERT_EQ(::write(fds->doorbell.get(), &full, sizeof full), static_cast<ssize_t>(sizeof full));
  ASSERT_EQ(::fcntl(fds->doorbell.get(), F_SETFL, 0), 0) << "what a hostile opener can do";
  region->ring();
  EXPECT_TRUE(mapped.has_rung());
}

TEST(BrokerRegion, IsLeftAsItIsWhenMemiodEnds) {
  const auto region = make_region();
  Mapped mapped(*region);
  const auto cell = region->take_cell().value();
  mapped.leases().cells[cell].leases = 1;
  region->leave();
  region->give_back_cell(cell);
  EXPECT_EQ(mapped.leases().cells[cell].leases, 1U) << "its owner lives, and still reads";
}

TEST(BrokerRegion, KnowsHowLongNobodyHasHadItOpen) {
  const auto region = make_region();
  const auto cell = region->take_cell().value();
  EXPECT_EQ(region->unused_for().count(), 0);
  region->set_creator_cell(cell);
  region->give_back_cell(cell);
  const auto before = region->unused_for();
  EXPECT_GE(before.count(), 0);
  EXPECT_EQ(region->creator_cell(), 0U) << "closed";
  region->set_unused_since(std::chrono::microseconds(1));
  EXPECT_GT(region->unused_for(), before);
  ASSERT_TRUE(region->take_cell());
  EXPECT_EQ(region->unused_for().count(), 0);
}

}  // namespace
}  // namespace memio::broker

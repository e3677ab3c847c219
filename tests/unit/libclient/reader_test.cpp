// SPDX-License-Identifier: MIT
#include "reader.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "test_region.h"

namespace memio {
namespace {

using test::Handle;
using test::now;
using test::TestRegion;
using test::text_of;

class EitherKind : public testing::TestWithParam<unsigned> {};  // 1 slot: classic
INSTANTIATE_TEST_SUITE_P(Slots, EitherKind, testing::Values(1U, 2U, 4U, 64U));

TEST_P(EitherKind, ReadsNothingUnderSequence0BeforeTheFirstPublish) {
  TestRegion region(GetParam());
  Handle reader(region.open_reader());
  const auto lease = reader.lease();
  EXPECT_EQ(lease.sequence, 0U);
  EXPECT_EQ(lease.version, 0U);
  EXPECT_TRUE(lease.payload.empty());
  reader.reader.release(lease.slot);
}

TEST_P(EitherKind, ReadsWhatWasPublishedLast) {
  TestRegion region(GetParam());
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  for (std::uint64_t i = 1; i <= 20; ++i) {
    const auto text = std::string(i * 7 % 50, static_cast<char>('a' + i));
    writer.publish(text, i * 10);
    const auto lease = reader.lease();
    EXPECT_EQ(lease.sequence, i);
    EXPECT_EQ(lease.version, i * 10);
    EXPECT_EQ(text_of(lease.payload), text);
    EXPECT_EQ(reader.reader.sequence(), i);
    reader.reader.release(lease.slot);
  }
}

TEST_P(EitherKind, SaysUnchangedWithoutLookingAtTheSlot) {
  TestRegion region(GetParam());
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("x");
  region.header(region.latest_slot()) = {0, 0, ~std::uint64_t{0}};  // would be reported if it was looked at
  const auto unchanged = reader.reader.lease(1, reader.copy);
  ASSERT_TRUE(unchanged);
  EXPECT_FALSE(*unchanged);
  EXPECT_EQ(region.cell(reader.memory.cell_index()).leases, 0U);
}

TEST_P(EitherKind, TellsPublishesOfTheSameVersionApart) {
  TestRegion region(GetParam());
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("first", 9);
  writer.publish("second", 9);
  const auto changed = reader.reader.lease(1, reader.copy);
  ASSERT_TRUE(changed && *changed);
  EXPECT_EQ((*changed)->version, 9U);
  EXPECT_EQ(text_of((*changed)->payload), "second");
  reader.reader.release((*changed)->slot);
  writer.publish("third", 2);
  const auto went_back = reader.reader.lease(2, reader.copy);
  ASSERT_TRUE(went_back && *went_back);
  EXPECT_EQ((*went_back)->version, 2U);
  reader.reader.release((*went_back)->slot);
}

TEST_P(EitherKind, ArmsOnlyIfNothingNewIsThere) {
  TestRegion region(GetParam());
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  EXPECT_TRUE(reader.reader.arm(0));
  EXPECT_EQ(region.cell(reader.memory.cell_index()).armed, 1U);
  writer.publish("1");
  EXPECT_EQ(region.rings(), 1U);
  EXPECT_FALSE(reader.reader.arm(0)) << "there is something to read: do not sleep";
  EXPECT_TRUE(reader.reader.arm(1));
  reader.reader.disarm();
  writer.publish("2");
  EXPECT_EQ(region.rings(), 0U);
}

TEST_P(EitherKind, ReportsAHeaderThatCannotBeTrue) {
  TestRegion region(GetParam(), 1000);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("x");
  auto& header = region.header(region.latest_slot());
  const auto good = header;
  for (const auto& lie :
       {format::SlotHeader{0, 1, 1}, format::SlotHeader{good.magic ^ 1, 1, 1},
        format::SlotHeader{format::slot_magic(Layout::memio24), 1, 1}, format::SlotHeader{good.magic, 1, 1001},
        format::SlotHeader{good.magic, 1, ~std::uint64_t{0}}}) {
    header = lie;
    EXPECT_EQ(reader.lease_error(), Errc::corrupt);
    EXPECT_EQ(region.cell(reader.memory.cell_index()).leases, 0U) << "no lease is left behind";
    EXPECT_EQ(reader.reader.leases(), 0U);
  }
  header = good;
  EXPECT_EQ(reader.read(), "x");
}

TEST(Reader, ReportsALatestSlotThatIsNotThere) {
  TestRegion region(4);
  Handle reader(region.open_reader());
  for (const unsigned slot : {4U, 5U, 63U}) {
    region.directory().latest = format::pack_latest(1, slot);
    EXPECT_EQ(reader.lease_error(), Errc::corrupt);
    EXPECT_EQ(region.cell(0).leases, 0U);
  }
}

TEST(Reader, ShowsItsLeasesInItsCellAsLongAsTheyLast) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  const auto& cell = region.cell(reader.memory.cell_index());
  writer.publish("1");
  const auto one = reader.lease();
  const auto again = reader.lease();
  EXPECT_EQ(one.slot, again.slot);
  EXPECT_EQ(cell.leases, std::uint64_t{1} << one.slot);
  writer.publish("2");
  const auto two = reader.lease();
  EXPECT_EQ(cell.leases, std::uint64_t{1} << one.slot | std::uint64_t{1} << two.slot);
  EXPECT_EQ(reader.reader.leases(), 3U);
  reader.reader.release(one.slot);
  EXPECT_EQ(cell.leases, std::uint64_t{1} << one.slot | std::uint64_t{1} << two.slot) << "it was leased twice";
  reader.reader.release(again.slot);
  EXPECT_EQ(cell.leases, std::uint64_t{1} << two.slot);
  reader.reader.release(two.slot);
  EXPECT_EQ(cell.leases, 0U);
}

TEST(Reader, KeepsWhatItLeasedUnchangedAcrossManyPublishes) {
  TestRegion region(64, 300);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  std::vector<Reader::Leased> leases;
  const auto text = [](std::size_t i) { return std::string(i + 1, static_cast<char>('0' + i)); };
  // Of 64 slots one is the latest and one is for the writer.
  for (std::size_t i = 0; i < 62; ++i) {
    writer.publish(text(i), i);
    leases.push_back(reader.lease());
  }
  for (int i = 0; i < 200; ++i) writer.publish(std::string(300, 'x'));
  for (std::size_t i = 0; i < leases.size(); ++i) {
    EXPECT_EQ(text_of(leases[i].payload), text(i));
    EXPECT_EQ(leases[i].version, i);
    reader.reader.release(leases[i].slot);
  }
}

TEST(Reader, LooksAtItsPayloadInTheSharedMemoryItself) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("x");
  const auto lease = reader.lease();
  region.payload(lease.slot)[0] = std::byte{'y'};
  EXPECT_EQ(text_of(lease.payload), "y");
  EXPECT_TRUE(reader.copy.empty());
  reader.reader.release(lease.slot);
}

TEST(Reader, WakesAWriterOnlyIfOneWaits) {
  TestRegion region(4);
  Handle reader(region.open_reader());
  reader.reader.release(reader.lease().slot);
  EXPECT_EQ(region.table().slot_wanted, 0U);
  region.table().slot_wanted = 1;
  reader.reader.release(reader.lease().slot);
  EXPECT_EQ(region.table().slot_wanted, 0U);
}

TEST(ClassicReader, CopiesSoThatLaterWritesDoNotShow) {
  TestRegion region(1);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("first");
  const auto lease = reader.lease();
  writer.publish("other");
  EXPECT_EQ(text_of(lease.payload), "first");
  EXPECT_EQ(region.cell(reader.memory.cell_index()).leases, 0U);
}

TEST(ClassicReader, IsBusyWhileAWriteIsUnfinishedAndReadsAgainAfterTheNext) {
  TestRegion region(1);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("whole");
  const auto payload = writer.writer.begin(4, now());
  ASSERT_TRUE(payload);
  (*payload)[0] = std::byte{'h'};
  EXPECT_EQ(reader.lease_error(), Errc::busy);
  writer.writer.abort();
  EXPECT_EQ(reader.lease_error(), Errc::busy) << "it stays half-written";
  writer.publish("mended");
  EXPECT_EQ(reader.read(), "mended");
}

TEST(ClassicReader, ReportsAMarkThatNobodyMakes) {
  TestRegion region(1);
  Handle reader(region.open_reader());
  region.directory().latest = format::pack_latest(1, 2);
  EXPECT_EQ(reader.lease_error(), Errc::corrupt);
}

TEST(ClassicReader, ReadsWhatProgramsThatKnowOnlyTheHeaderWrite) {
  TestRegion region(1, 100, Layout::memio24);
  Handle reader(region.open_reader());
  region.payload(0)[0] = std::byte{'m'};
  region.header(0) = {format::slot_magic(Layout::memio24), 12, 1};
  const auto lease = reader.lease();
  EXPECT_EQ(text_of(lease.payload), "m");
  EXPECT_EQ(lease.version, 12U);
  EXPECT_EQ(lease.sequence, 0U) << "they do not count publishes";
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they end the program when memory runs out
TEST(ClassicReader, ReportsALengthThatThereIsNoMemoryFor) {
  TestRegion region(1, format::max_capacity);
  Handle reader(region.open_reader());
  region.header(0).length = format::max_capacity;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none{std::uint64_t{1} << 30, before.rlim_max};  // less than is mapped already
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &none), 0);
  EXPECT_EQ(reader.lease_error(), Errc::out_of_resources);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
}
#endif

}  // namespace
}  // namespace memio

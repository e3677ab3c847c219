// SPDX-License-Identifier: MIT
#include "shrink.h"

#include <sys/stat.h>

#include "test_region.h"

namespace memio {
namespace {

using namespace test;
using namespace std::chrono_literals;

constexpr std::uint64_t payload = 64 << 10;

std::uint64_t memory_of(const Handle& handle) {
  struct stat status {};
  ::fstat(handle.memory.region_fd(), &status);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

Result<std::uint64_t> shrink(Handle& handle, const Deadline& deadline = now()) {
  return memio::shrink(handle.memory, handle.reader, handle.writer, deadline);
}

std::string large(char letter) { return std::string(payload, letter); }

TEST(Shrink, GivesStaleSlotsBackAndKeepsTheLatest) {
  TestRegion region(4, payload);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  const auto one = large('1');
  const auto two = large('2');
  writer.publish(one);
  const auto held = reader.lease();
  writer.publish(two);
  writer.publish(one);
  reader.reader.release(held.slot);
  const auto before = memory_of(writer);
  const auto freed = shrink(writer);
  ASSERT_TRUE(freed) << freed.error().text();
  EXPECT_GE(*freed, 2 * payload);
  EXPECT_EQ(memory_of(writer), before - *freed);
  EXPECT_EQ(reader.read(), one);
  EXPECT_EQ(writer.publish(two), 4U);
  EXPECT_EQ(reader.read(), two);
}

TEST(Shrink, GivesBackWhatLiesBehindAShortPayload) {
  TestRegion region(2, payload);
  Handle writer(region.open_writer());
  writer.publish(large('1'));
  writer.publish("short");
  writer.publish("short again");  // over the large one
  EXPECT_GE(shrink(writer).value_or(0), payload - page_size());
  EXPECT_EQ(writer.read(), "short again");
}

TEST(Shrink, KeepsWhatIsLeased) {
  TestRegion region(4, payload);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  const auto one = large('1');
  const auto two = large('2');
  writer.publish(one);
  const auto theirs = reader.lease();
  writer.publish(two);
  const auto ours = writer.lease();
  writer.publish("");
  ASSERT_TRUE(shrink(writer));
  EXPECT_EQ(text_of(theirs.payload), one);
  EXPECT_EQ(text_of(ours.payload), two);
  reader.reader.release(theirs.slot);
  EXPECT_EQ(writer.reader.leases(), 1U) << "the caller's own leases are as before";
  writer.reader.release(ours.slot);
  EXPECT_GE(shrink(writer).value_or(0), 2 * payload);
  EXPECT_EQ(region.cell(writer.memory.cell_index()).leases, 0U);
}

TEST(Shrink, WaitsForAWriterThatIsAtWork) {
  TestRegion region(4, payload);
  Handle writer(region.open_writer());
  Handle other(region.open_writer());
  ASSERT_TRUE(other.writer.begin(payload, now()));
  EXPECT_EQ(shrink(writer, in(1ms)).error().code, Errc::busy);
  EXPECT_EQ(region.cell(writer.memory.cell_index()).leases, 0U);
  std::thread ends([&] { EXPECT_TRUE(other.writer.commit({})); });
  EXPECT_TRUE(shrink(writer, no_deadline));
  ends.join();
}

// The writer has the lock and waits for a slot; a shrinker that had leased one before it waits for the lock would wait
// for ever, and let it wait.
TEST(Shrink, DoesNotTakeTheSlotThatALockedWriterWaitsFor) {
  TestRegion region(2, payload);
  Handle writer(region.open_writer());
  Handle shrinker(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("one");
  const auto held = reader.lease();
  writer.publish("two");
  std::thread writes([&] { EXPECT_TRUE(writer.writer.begin(1, no_deadline) && writer.writer.commit({})); });
  wait_until([&] { return region.table().slot_wanted == 1; });
  std::thread shrinks([&] { EXPECT_TRUE(shrink(shrinker, no_deadline)); });
  wait_until([&] { return (region.directory().writer & format::writer_waiting) != 0; });
  reader.reader.release(held.slot);
  writes.join();
  shrinks.join();
}

TEST(Shrink, LeavesAWriterTheOtherSlots) {
  TestRegion region(3, payload);
  Handle writer(region.open_writer());
  Handle shrinker(region.open_writer());
  writer.publish("one");
  const unsigned stale = region.latest_slot() == 0 ? 1 : 0;
  ASSERT_TRUE(shrinker.reader.hold(stale)) << "as while it gives this slot's memory back";
  EXPECT_EQ(writer.publish("two"), 2U);
  EXPECT_NE(region.latest_slot(), stale);
  EXPECT_FALSE(shrinker.reader.hold(stale));
  shrinker.reader.release(stale);
}

TEST(Shrink, OfAClassicRegionGivesNothingBack) {
  TestRegion region(1, payload);
  Handle writer(region.open_writer());
  writer.publish(large('1'));
  writer.publish("short");
  EXPECT_EQ(shrink(writer), 0U);
}

TEST(Shrink, IsForWriters) {
  TestRegion region(4);
  Handle reader(region.open_reader());
  EXPECT_EQ(shrink(reader).error().code, Errc::read_only);
}

TEST(Shrink, SurvivesLies) {
  TestRegion region(4, payload);
  Handle writer(region.open_writer());
  region.header(1) = {format::slot_magic(Layout::memio64), 1, ~std::uint64_t{0}};
  region.table().cells_used = ~0U;
  region.directory().latest = format::pack_latest(3, 1);
  EXPECT_TRUE(shrink(writer));
  for (const std::uint64_t lie : {~std::uint64_t{0}, format::pack_latest(3, 63), format::pack_latest(3, 4)}) {
    region.directory().latest = lie;
    EXPECT_EQ(shrink(writer).error().code, Errc::corrupt);
  }
  EXPECT_EQ(region.cell(writer.memory.cell_index()).leases, 0U);
}

}  // namespace
}  // namespace memio

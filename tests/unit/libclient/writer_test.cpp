// SPDX-License-Identifier: MIT
#include "writer.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "test_region.h"

namespace memio {
namespace {

using namespace std::chrono_literals;
using test::Handle;
using test::in;
using test::no_deadline;
using test::now;
using test::TestRegion;
using test::wait_until;

TEST(Writer, PublishesPayloadLengthAndVersionUnderTheNextSequence) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  EXPECT_EQ(writer.publish("hello", 77), 1U);
  EXPECT_EQ(region.sequence(), 1U);
  const auto slot = region.latest_slot();
  EXPECT_EQ(region.header(slot).magic, format::slot_magic(Layout::memio64));
  EXPECT_EQ(region.header(slot).version, 77U);
  EXPECT_EQ(region.header(slot).length, 5U);
  EXPECT_EQ(test::text_of({region.payload(slot), 5}), "hello");
  EXPECT_EQ(writer.publish(""), 2U);
  EXPECT_EQ(region.header(region.latest_slot()).length, 0U);
  EXPECT_EQ(region.directory().writer, 0U);
}

TEST(Writer, CountsVersionsOnFromTheLatestWhateverItWas) {
  TestRegion region(4);
  Handle first(region.open_writer());
  Handle second(region.open_writer());
  const auto version = [&] { return region.header(region.latest_slot()).version; };
  first.publish("a");
  EXPECT_EQ(version(), 1U);
  second.publish("b");
  EXPECT_EQ(version(), 2U);
  first.publish("c", 100);
  first.publish("c", 100);  // repeating
  EXPECT_EQ(version(), 100U);
  second.publish("d", 5);  // going back
  EXPECT_EQ(version(), 5U);
  first.publish("e");
  EXPECT_EQ(version(), 6U);
  first.publish("f", ~std::uint64_t{0});
  first.publish("g");
  EXPECT_EQ(version(), 0U);
  EXPECT_EQ(region.sequence(), 8U) << "the sequence counts publishes, whatever they are called";
}

TEST(Writer, FillsASlotThatIsNotTheLatest) {
  for (const unsigned slots : {2U, 4U, 64U}) {
    TestRegion region(slots);
    Handle writer(region.open_writer());
    for (int i = 0; i < 10; ++i) {
      const auto latest = region.latest_slot();
      ASSERT_TRUE(writer.writer.begin(1, now()));
      EXPECT_NE(writer.writer.slot(), latest);
      EXPECT_LT(writer.writer.slot(), 2U) << "without readers two slots are enough";
      ASSERT_TRUE(writer.writer.commit({}));
    }
  }
}

TEST(Writer, TakesAPayloadOfExactlyTheCapacityAndNoMore) {
  for (const unsigned slots : {1U, 2U}) {
    TestRegion region(slots, 1000);
    Handle writer(region.open_writer());
    EXPECT_EQ(writer.writer.begin(1001, now()).error().code, Errc::payload_too_large);
    EXPECT_EQ(writer.writer.begin(~std::size_t{0}, now()).error().code, Errc::payload_too_large);
    EXPECT_EQ(region.directory().writer, 0U);
    EXPECT_EQ(writer.publish(std::string(1000, 'x')), 1U);
  }
}

TEST(Writer, NeedsWriteAccess) {
  TestRegion region(4);
  Handle reader(region.open_reader());
  EXPECT_EQ(reader.writer.begin(1, now()).error().code, Errc::read_only);
  EXPECT_EQ(reader.writer.commit({}).error().code, Errc::misuse);
}

TEST(Writer, ReportsCallsInTheWrongOrder) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  EXPECT_EQ(writer.writer.commit({}).error().code, Errc::misuse);
  ASSERT_TRUE(writer.writer.begin(1, now()));
  EXPECT_EQ(writer.writer.begin(1, now()).error().code, Errc::misuse);
  EXPECT_TRUE(writer.writer.begun()) << "the first begin() still stands";
  ASSERT_TRUE(writer.writer.commit({}));
  EXPECT_EQ(writer.writer.commit({}).error().code, Errc::misuse);
}

TEST(Writer, PublishesNothingWhenItAborts) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  writer.writer.abort();  // nothing begun: nothing happens
  writer.publish("kept");
  const auto payload = writer.writer.begin(5, now());
  ASSERT_TRUE(payload);
  std::ranges::fill(*payload, std::byte{'x'});
  writer.writer.abort();
  EXPECT_EQ(region.sequence(), 1U);
  EXPECT_EQ(region.directory().writer, 0U);
  EXPECT_EQ(writer.read(), "kept");
  EXPECT_EQ(writer.publish("next"), 2U);
}

// The writer lock.

TEST(WriterLock, IsHeldFromBeginToCommitUnderTheHandlesMark) {
  TestRegion region(4);
  Handle first(region.open_writer());
  Handle second(region.open_writer());
  ASSERT_TRUE(second.writer.begin(1, now()));
  EXPECT_EQ(region.directory().writer, second.memory.cell_index() + 1);
  EXPECT_EQ(first.writer.begin(1, now()).error().code, Errc::busy);
  ASSERT_TRUE(second.writer.commit({}));
  EXPECT_TRUE(first.writer.begin(1, now()));
  first.writer.abort();
  EXPECT_EQ(region.directory().writer, 0U);
}

TEST(WriterLock, MakesOthersWaitNoLongerThanTheirTimeout) {
  TestRegion region(4);
  Handle first(region.open_writer());
  Handle second(region.open_writer());
  ASSERT_TRUE(first.writer.begin(1, now()));
  const auto start = Clock::now();
  EXPECT_EQ(second.writer.begin(1, in(20ms)).error().code, Errc::busy);
  EXPECT_GE(Clock::now() - start, 20ms);
  ASSERT_TRUE(first.writer.commit({}));
  EXPECT_EQ(region.directory().writer, 0U) << "the mark of waiting goes with the lock";
}

TEST(WriterLock, WakesOneThatWaitsWhenItIsGivenBack) {
  TestRegion region(4);
  Handle first(region.open_writer());
  Handle second(region.open_writer());
  ASSERT_TRUE(first.writer.begin(1, now()));
  std::thread waiting([&] {
    EXPECT_TRUE(second.writer.begin(1, no_deadline));
    EXPECT_TRUE(second.writer.commit({}));
  });
  wait_until([&] { return (region.directory().writer & format::writer_waiting) != 0; });
  EXPECT_EQ(region.directory().writer & ~format::writer_waiting, first.memory.cell_index() + 1);
  ASSERT_TRUE(first.writer.commit({}));
  waiting.join();
  EXPECT_EQ(region.sequence(), 2U);
  EXPECT_EQ(region.directory().writer, 0U);
}

TEST(WriterLock, WakesTheNextWhenTheBrokerFreesItForADeadWriter) {
  TestRegion region(4);
  Handle next(region.open_writer());
  auto& lock = region.directory().writer;
  lock = 12;  // a handle whose program is gone
  std::thread waiting([&] { EXPECT_TRUE(next.writer.begin(1, no_deadline)); });
  wait_until([&] { return (lock & format::writer_waiting) != 0; });
  lock = 0;
  futex::wake(lock, 1);
  waiting.join();
  EXPECT_EQ(lock & ~format::writer_waiting, next.memory.cell_index() + 1);
  next.writer.abort();
  EXPECT_EQ(lock, 0U);
}

// One that gives up waiting must not take somebody else's wake-up along.
TEST(WriterLock, LosesNoWakeUpToThoseWhoseTimeIsUp) {
  TestRegion region(4);
  constexpr int rounds = 300;
  const auto write = [&](Deadline (*deadline)(), int count) {
    Handle writer(region.open_writer());
    for (int i = 0; i < count; ++i) {
      if (writer.writer.begin(1, deadline())) {
        std::this_thread::yield();
        writer.writer.abort();
      }
    }
  };
  std::thread patient([&] { write([] { return no_deadline; }, rounds); });
  std::thread also_patient([&] { write([] { return no_deadline; }, rounds); });
  std::thread hasty([&] { write([] { return Deadline(Clock::now() + 50us); }, 3 * rounds); });
  std::thread hastier([&] { write([] { return Deadline(Clock::now() + 5us); }, 3 * rounds); });
  for (auto* thread : {&patient, &also_patient, &hasty, &hastier}) thread->join();
  EXPECT_EQ(region.directory().writer, 0U);
}

TEST(WriterLock, LeavesAnEvictedWriterWithNothing) {
  for (const unsigned slots : {1U, 4U}) {
    TestRegion region(slots);
    Handle evicted(region.open_writer());
    Handle other(region.open_writer());
    other.publish("before", 5);
    ASSERT_TRUE(evicted.writer.begin(1, now()));
    const auto slot = evicted.writer.slot();
    region.header(slot).version = 1234;
    evicted.memory.own_cell().armed = region.sequence() + 1;
    region.directory().writer = 0;  // the broker took its program for dead
    EXPECT_EQ(evicted.writer.commit(99).error().code, Errc::evicted);
    EXPECT_EQ(region.sequence(), 1U);
    EXPECT_EQ(region.header(slot).version, 1234U) << "the slot may be another writer's by now";
    EXPECT_EQ(region.rings(), 0U);
    EXPECT_EQ(other.publish("after"), 2U);
    EXPECT_EQ(evicted.publish("again"), 3U);
  }
}

TEST(WriterLock, StaysWithTheOneWhoGotItAfterAnEviction) {
  TestRegion region(4);
  Handle evicted(region.open_writer());
  Handle other(region.open_writer());
  ASSERT_TRUE(evicted.writer.begin(1, now()));
  region.directory().writer = 0;
  ASSERT_TRUE(other.writer.begin(1, now()));
  EXPECT_EQ(evicted.writer.commit({}).error().code, Errc::evicted);
  EXPECT_EQ(region.directory().writer, other.memory.cell_index() + 1);
  evicted.writer.abort();
  EXPECT_EQ(region.directory().writer, other.memory.cell_index() + 1);
  EXPECT_TRUE(other.writer.commit({}));
}

// Leases.

TEST(WriterSlots, KeepsOffLeasedSlotsOfEveryHandle) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle one(region.open_reader());
  Handle two(region.open_reader());
  writer.publish("first");
  const auto a = one.lease();
  writer.publish("second");
  const auto b = two.lease();
  for (int i = 0; i < 20; ++i) {
    writer.publish("more");
    EXPECT_NE(region.latest_slot(), a.slot);
    EXPECT_NE(region.latest_slot(), b.slot);
  }
  EXPECT_EQ(test::text_of(a.payload), "first");
  EXPECT_EQ(test::text_of(b.payload), "second");
  one.reader.release(a.slot);
  two.reader.release(b.slot);
}

TEST(WriterSlots, IsBusyWhenAllAreLeased) {
  for (const unsigned slots : {2U, 3U, 4U, 64U}) {
    TestRegion region(slots);
    Handle writer(region.open_writer());
    Handle reader(region.open_reader());
    std::vector<Reader::Leased> leases;
    for (unsigned i = 1; i < slots; ++i) {
      leases.push_back(reader.lease());
      writer.publish(std::to_string(i));
    }
    const auto sequence = region.sequence();
    EXPECT_EQ(writer.writer.begin(1, now()).error().code, Errc::busy);
    const auto start = Clock::now();
    EXPECT_EQ(writer.writer.begin(1, in(10ms)).error().code, Errc::busy);
    EXPECT_GE(Clock::now() - start, 10ms);
    EXPECT_EQ(region.directory().writer, 0U) << "the lock does not stay with who got nothing";
    EXPECT_EQ(region.sequence(), sequence);
    reader.reader.release(leases.front().slot);
    EXPECT_EQ(writer.publish("goes on"), sequence + 1);
    for (std::size_t i = 1; i < leases.size(); ++i) reader.reader.release(leases[i].slot);
  }
}

TEST(WriterSlots, WakesWhenALeaseEnds) {
  TestRegion region(2);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  const auto lease = reader.lease();
  writer.publish("in the other slot");
  std::thread waiting([&] {
    EXPECT_TRUE(writer.writer.begin(1, no_deadline));
    EXPECT_TRUE(writer.writer.commit({}));
  });
  wait_until([&] { return region.table().slot_wanted == 1; });
  reader.reader.release(lease.slot);
  waiting.join();
  EXPECT_EQ(region.sequence(), 2U);
}

TEST(WriterSlots, HoldsNoSlotForLeasesThatTheBrokerCleared) {
  TestRegion region(2);
  Handle writer(region.open_writer());
  region.table().cells_used = 9;
  region.cell(8).leases = 3;  // of a reader that is gone
  EXPECT_EQ(writer.writer.begin(1, now()).error().code, Errc::busy);
  region.cell(8).leases = 0;
  EXPECT_EQ(writer.publish("free"), 1U);
}

TEST(WriterSlots, IgnoresLeasesOfSlotsThatAreNotThere) {
  TestRegion region(2);
  Handle writer(region.open_writer());
  region.cell(0).leases = ~std::uint64_t{3};
  EXPECT_EQ(writer.publish("published"), 1U);
}

// The doorbell.

TEST(WriterDoorbell, RingsOnlyIfACellIsArmedForThisVerySequence) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  writer.publish("1");
  EXPECT_EQ(region.rings(), 0U) << "nobody waits";
  auto& armed = reader.memory.own_cell().armed;
  armed = 1;
  writer.publish("2");
  EXPECT_EQ(region.rings(), 0U) << "armed for one that is past";
  armed = 4;
  writer.publish("3");
  EXPECT_EQ(region.rings(), 0U) << "armed for one that is to come";
  writer.publish("4");
  EXPECT_EQ(region.rings(), 1U);
  writer.publish("5");
  EXPECT_EQ(region.rings(), 0U) << "a sleeper that was called already";
}

TEST(WriterDoorbell, RingsOnceForAnyNumberOfSleepers) {
  TestRegion region(1);
  Handle writer(region.open_writer());
  Handle one(region.open_reader());
  Handle two(region.open_reader());
  EXPECT_TRUE(one.reader.arm(0));
  EXPECT_TRUE(two.reader.arm(0));
  writer.publish("to both");
  EXPECT_EQ(region.rings(), 1U);
}

TEST(WriterDoorbell, RingsThoughSomebodyFilledItsCounter) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle reader(region.open_reader());
  // Publishing must neither block nor lose the ring.
  const std::uint64_t full = ~std::uint64_t{0} - 1;
  ASSERT_EQ(::write(region.doorbell(), &full, sizeof full), static_cast<ssize_t>(sizeof full));
  EXPECT_TRUE(reader.reader.arm(0));
  writer.publish("through");
  EXPECT_EQ(region.rings(), 1U);
}

// Lies in shared memory.

TEST(WriterAgainstLies, ReportsALatestSlotThatIsNotThere) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  region.directory().latest = format::pack_latest(7, 4);
  EXPECT_EQ(writer.writer.begin(1, now()).error().code, Errc::corrupt);
  EXPECT_EQ(region.directory().writer, 0U);
}

TEST(WriterAgainstLies, NoticesThatLatestChangedUnderItsLock) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  ASSERT_TRUE(writer.writer.begin(1, now()));
  region.directory().latest = format::pack_latest(1000, 3);
  EXPECT_EQ(writer.writer.commit({}).error().code, Errc::evicted);
  EXPECT_EQ(region.directory().writer, 0U);
}

TEST(WriterAgainstLies, SurvivesAnyValuesInLockAndLeaseTable) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  for (const std::uint32_t lie : {~0U, format::writer_waiting, 4097U, 16U}) {
    region.directory().writer = lie;
    region.table().cells_used = lie;
    region.table().slot_wanted = lie;
    region.table().cell_count = lie;
    EXPECT_EQ(writer.writer.begin(1, in(1ms)).error().code, Errc::busy);
  }
  region.directory().writer = 0;
  EXPECT_EQ(writer.publish("goes on"), 1U);
}

// Classic regions.

TEST(ClassicWriter, MarksTheRegionWhileItWrites) {
  TestRegion region(1);
  Handle writer(region.open_writer());
  writer.publish("one", 41);
  EXPECT_EQ(region.directory().latest, format::pack_latest(1, 0));
  ASSERT_TRUE(writer.writer.begin(3, now()));
  EXPECT_EQ(region.directory().latest, format::pack_latest(1, 1));
  ASSERT_TRUE(writer.writer.commit({}));
  EXPECT_EQ(region.directory().latest, format::pack_latest(2, 0));
  EXPECT_EQ(region.header(0).version, 42U);
}

TEST(ClassicWriter, LeavesTheMarkWhenItAbortsAndTheNextWriteMendsIt) {
  TestRegion region(1);
  Handle writer(region.open_writer());
  writer.publish("one");
  ASSERT_TRUE(writer.writer.begin(3, now()));
  writer.writer.abort();
  EXPECT_EQ(region.directory().latest, format::pack_latest(1, 1));
  EXPECT_EQ(writer.publish("two"), 2U);
  EXPECT_EQ(region.directory().latest, format::pack_latest(2, 0));
}

TEST(ClassicWriter, WritesTheBytesThatMemioTauriProgramsRead) {
  for (const auto layout : {Layout::memio24, Layout::memio64}) {
    TestRegion region(1, 100, layout);
    Handle writer(region.open_writer());
    writer.publish("payload", 3);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&region.header(0));
    const auto number = [&](std::size_t offset) {
      std::uint64_t value = 0;
      for (int i = 7; i >= 0; --i) value = value << 8 | bytes[offset + static_cast<std::size_t>(i)];
      return value;
    };
    EXPECT_EQ(number(0), layout == Layout::memio24 ? 0x4F425255545F4F54U : 0x545552424F534852U);
    EXPECT_EQ(number(8), 3U);
    EXPECT_EQ(number(16), 7U);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes) + (layout == Layout::memio24 ? 24 : 64), 7), "payload");
  }
}

}  // namespace
}  // namespace memio

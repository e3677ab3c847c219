// SPDX-License-Identifier: MIT
// What the dead leave behind is cleared: handles, leases, the writer lock, regions, descriptors.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "open_region.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/no_room_for_fds.h"

namespace memio::test {
namespace {

class Cleanup : public DaemonTest {
 protected:
  Client client_ = daemon_.connect();

  // Waits until a region of that name is gone.
  void wait_until_removed(const std::string& name) {
    auto watcher = client_.watch(name, false);
    ASSERT_TRUE(watcher);
    bool known = false;
    for (;;) {
      auto event = watcher->wait(std::chrono::seconds(20));
      ASSERT_TRUE(event) << event.error().text();
      if (event->kind == EventKind::present) known = true;
      if (event->kind == EventKind::removed || (event->kind == EventKind::ready && !known)) return;
    }
  }
};

TEST_F(Cleanup, SessionRegionsGoWithTheirCreatorAndOthersStay) {
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    auto session = other->create("session", {.capacity = 16});
    auto persistent = other->create("persistent", {.capacity = 16, .lifetime = Lifetime::persistent});
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  EXPECT_EQ(child.wait(), 128 + SIGKILL);
  wait_until_removed("session");
  auto names = client_.list();
  ASSERT_EQ(names->size(), 1U);
  EXPECT_EQ(names->front().name, "persistent");
  EXPECT_TRUE(client_.open("persistent", Access::write)->write(bytes("x")));
}

TEST_F(Cleanup, WhatAProcessHasNoRoomForIsGivenBackAndItsConnectionStays) {
  auto region = client_.create("a", {.capacity = 16});
  auto other = daemon_.connect();
  {
    const test::NoRoomForFds no_room(2);
    EXPECT_EQ(other.open("a", Access::read).error().code, Errc::out_of_resources);
    EXPECT_EQ(other.create("new", {.capacity = 16, .lifetime = Lifetime::persistent}).error().code,
              Errc::out_of_resources);
  }
  {
    const test::NoRoomForFds no_room;
    EXPECT_EQ(other.open_connection().error().code, Errc::out_of_resources);
  }
  EXPECT_EQ(other.list()->size(), 1U) << "what was made for nothing is gone";
  EXPECT_EQ(client_.stat("a")->region.handles, 1U);
  EXPECT_TRUE(other.open("a", Access::read));
}

// Its end is told by a ring, and by then its will is gone.
TEST_F(Cleanup, TheWillOfAKilledProcessIsDone) {
  auto region = client_.create("a", {.capacity = 16, .slots = 1});
  Turnstile willed;
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    auto mine = other->open("a", Access::read);
    RegionAccess::set_will(*mine);
    willed.pass();
    ::pause();
    return 0;
  });
  willed.wait();
  const auto cells = RegionAccess::memory(*region).cells();
  const auto with = std::ranges::find_if(cells, [](const auto& cell) { return cell.will != 0; });
  ASSERT_NE(with, cells.end());
  const auto cell = static_cast<std::uint32_t>(with - cells.begin());
  ASSERT_TRUE(RegionAccess::subscribe_rings(*region, {7}));
  std::array<Event, 4> events;
  ASSERT_EQ(*client_.wait(events, std::chrono::seconds(20)), 1U) << "a ring may have gone before: look";
  EXPECT_TRUE(RegionAccess::has_will(*region, cell));
  child.signal(SIGKILL);
  while (RegionAccess::has_will(*region, cell)) {
    ASSERT_EQ(*client_.wait(events, std::chrono::seconds(20)), 1U) << "nobody rang";
    EXPECT_EQ(events[0].token.value, 7U);
  }
  EXPECT_EQ(region->sequence(), 0U);
}

TEST_F(Cleanup, AWriterKilledInTheMiddleNeitherTearsNorBlocks) {
  auto region = client_.create("a", {.capacity = 1000});
  ASSERT_TRUE(region->write(bytes("whole")));
  Turnstile begun;
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    auto mine = other->open("a", Access::write);
    auto payload = mine->begin(1000);
    if (!payload) return 1;
    std::ranges::fill(*payload, std::byte{'?'});
    begun.pass();
    ::pause();
    return 0;
  });
  begun.wait();
  region->set_write_timeout(std::chrono::milliseconds(0));
  EXPECT_EQ(region->write(bytes("x")).error().code, Errc::busy) << "the other holds the lock";
  EXPECT_EQ(text(region->read()->data()), "whole");
  region->set_write_timeout(std::chrono::seconds(20));
  child.signal(SIGKILL);
  auto written = region->write(bytes("next"));
  ASSERT_TRUE(written) << written.error().text();
  EXPECT_EQ(text(region->read()->data()), "next");
}

TEST_F(Cleanup, ASubscriberIsWokenWhenAWriterDies) {
  // A writer that died between publishing and ringing: all it leaves is the lock, and the broker rings when it frees
  // it.
  auto region = client_.create("a", {.capacity = 16});
  ASSERT_TRUE(region->subscribe({1}));
  std::array<Event, 4> events;
  client_.dispatch(events);
  Turnstile begun;
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    auto mine = other->open("a", Access::write);
    if (!mine->begin(1)) return 1;
    begun.pass();
    ::pause();
    return 0;
  });
  begun.wait();
  child.signal(SIGKILL);
  child.wait();
  // It published nothing, so there is no event; but the doorbell has rung: the descriptor becomes readable.
  auto told = client_.wait(events, std::chrono::milliseconds(0));
  ASSERT_TRUE(told);
  ASSERT_TRUE(region->write(bytes("x")));
  told = client_.wait(events, std::chrono::seconds(20));
  ASSERT_TRUE(told);
  EXPECT_EQ(*told, 1U);
}

TEST_F(Cleanup, LeasesOfADeadReaderEnd) {
  auto region = client_.create("a", {.capacity = 16, .slots = 2});
  ASSERT_TRUE(region->write(bytes("1")));
  const auto child = start_leasing("a");
  ASSERT_TRUE(region->write(bytes("2")));
  region->set_write_timeout(std::chrono::milliseconds(0));
  EXPECT_EQ(region->write(bytes("3")).error().code, Errc::busy) << "one slot is the latest, the other is leased";
  region->set_write_timeout(std::chrono::seconds(20));
  child.signal(SIGKILL);
  auto written = region->write(bytes("3"));
  EXPECT_TRUE(written) << written.error().text();
}

TEST_F(Cleanup, ASnapshotOutlivesItsRegionAndClient) {
  std::optional<Snapshot> snapshot;
  {
    auto other = daemon_.connect();
    auto region = other.create("mine", {.capacity = 16});
    ASSERT_TRUE(region->write(bytes("kept")));
    snapshot.emplace(std::move(*region->read()));
  }
  EXPECT_EQ(text(snapshot->data()), "kept");
  EXPECT_EQ(client_.stat("mine")->region.handles, 1U);
  snapshot.reset();
  wait_until_removed("mine");
}

TEST_F(Cleanup, ClosingAHandleGivesItsCellBack) {
  auto region = client_.create("a", {.capacity = 16});
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(client_.open("a", Access::read)) << i;
  EXPECT_EQ(client_.stat("a")->region.handles, 1U);
}

TEST_F(Cleanup, TheDaemonHoldsNoDescriptorOfWhatIsGone) {
  ASSERT_TRUE(client_.list());
  const auto before = daemon_.open_fds();
  // Names of their own for each round: the regions of the round before go when memiod notices that it is over.
  const auto names = [](int round, int i) { return "r" + std::to_string(round) + "." + std::to_string(i); };
  for (int round = 0; round < 20; ++round) {
    auto other = daemon_.connect();
    std::vector<Region> regions;
    for (int i = 0; i < 20; ++i) regions.push_back(std::move(*other.create(names(round, i), {.capacity = 16})));
    auto watcher = other.watch("", true);
    ASSERT_TRUE(other.open_connection());
    regions.clear();
    auto gone = std::move(other);
  }
  wait_until_removed(names(19, 19));
  // Both connections of a session end one after the other; a call that is answered comes after them.
  for (int i = 0; i < 1000 && daemon_.open_fds() != before; ++i) ASSERT_TRUE(client_.list());
  EXPECT_EQ(daemon_.open_fds(), before);
}

}  // namespace
}  // namespace memio::test

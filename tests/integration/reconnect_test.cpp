// SPDX-License-Identifier: MIT
// memiod goes away and comes back: regions go on meanwhile, and afterwards everything is as it was.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "open_region.h"
#include "support/becomes.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/no_room_for_fds.h"

namespace memio::test {
namespace {

constexpr std::chrono::seconds long_enough{20};

// Dispatches until an event of that kind comes.
void wait_for(Client& client, Event::Kind kind) {
  std::array<Event, 8> events;
  for (;;) {
    auto told = client.wait(events, long_enough);
    ASSERT_TRUE(told) << told.error().text();
    ASSERT_GT(*told, 0U) << "the event did not come";
    const auto end = events.begin() + static_cast<std::ptrdiff_t>(*told);
    if (std::any_of(events.begin(), end, [&](const Event& event) { return event.kind == kind; })) return;
  }
}

using Reconnect = DaemonTest;

TEST_F(Reconnect, PeersGoOnWithoutTheDaemon) {
  auto writer_client = daemon_.connect();
  auto region = writer_client.create("a", {.capacity = 64});
  Turnstile opened;
  auto child = Process::fork([&] {
    auto client = Client::connect(daemon_.socket_path());
    auto reader = client->open("a", Access::read);
    opened.pass();
    std::uint64_t seen = 0;
    while (seen < 100) {
      auto sequence = reader->wait(seen, long_enough);
      if (!sequence) return 1;
      seen = *sequence;
      if (text(reader->read()->data()).empty()) return 2;
    }
    return 0;
  });
  opened.wait();
  daemon_.kill();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(region->write(bytes("no daemon " + std::to_string(i))));
  EXPECT_EQ(child.wait(), 0);
  daemon_.start();
}

TEST_F(Reconnect, EveryRegionAndHandleComesBack) {
  auto writer = daemon_.connect();
  auto reader = daemon_.connect();
  auto region = writer.create("a/b", {.capacity = 64, .slots = 8, .lifetime = Lifetime::persistent});
  auto reading = reader.open("a/b", Access::read);
  ASSERT_TRUE(region->write(bytes("kept"), 41));
  auto held = reading->read();
  daemon_.kill();
  daemon_.start();
  wait_for(reader, Event::Kind::reconnected);
  EXPECT_TRUE(reader.connected());
  ASSERT_TRUE(writer.list()) << "a call finds the new daemon by itself";
  const auto state = daemon_.connect().stat("a/b");
  ASSERT_TRUE(state) << state.error().text();
  EXPECT_EQ(state->region.slots, 8U);
  EXPECT_EQ(state->region.lifetime, Lifetime::persistent);
  EXPECT_EQ(state->region.sequence, 1U);
  EXPECT_EQ(state->version, 41U);
  EXPECT_EQ(state->region.handles, 2U);
  auto newcomer_client = daemon_.connect();
  auto newcomer = newcomer_client.open("a/b", Access::read);
  EXPECT_EQ(text(newcomer->read()->data()), "kept");
  ASSERT_TRUE(region->write(bytes("new")));
  EXPECT_EQ(text(newcomer->read()->data()), "new");
  EXPECT_EQ(text(held->data()), "kept") << "the lease held throughout";
}

TEST_F(Reconnect, WithoutRoomForDescriptorsRegionsAreClaimedLater) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 64, .lifetime = Lifetime::persistent});
  daemon_.kill();
  daemon_.start();
  auto other = daemon_.connect();
  {
    const NoRoomForFds no_room(1);
    wait_for(client, Event::Kind::reconnected);
  }
  EXPECT_FALSE(other.stat("a"));
  EXPECT_TRUE(becomes([&] {
    client.dispatch({});
    return other.stat("a").has_value();
  }));
}

TEST_F(Reconnect, SubscriptionsAndWatchesGoOn) {
  auto client = daemon_.connect();
  auto other = daemon_.connect();
  auto region = other.create("a", {.capacity = 64});
  auto reading = client.open("a", Access::read);
  ASSERT_TRUE(reading->subscribe({1}));
  auto watcher = client.watch("a", true, {2});
  while (watcher->wait(long_enough)->kind != EventKind::ready) {
  }
  daemon_.kill();
  daemon_.start();
  ASSERT_TRUE(other.list());
  // The watch starts anew, and finds the region that the other client has shown.
  auto event = watcher->wait(long_enough);
  for (; event && event->kind != EventKind::version; event = watcher->wait(long_enough)) {
    const bool there = event->kind == EventKind::ready || event->kind == EventKind::created;
    ASSERT_TRUE(!there || region->write(bytes("x"), 7));
  }
  ASSERT_TRUE(event) << event.error().text();
  EXPECT_EQ(event->version, 7U);
  wait_for(client, Event::Kind::region_changed);
}

TEST_F(Reconnect, AWatchThatIsRefusedNowTellsSo) {
  auto client = daemon_.connect();
  auto watcher = client.watch({}, false, {2});
  while (watcher->wait(long_enough)->kind != EventKind::ready) {
  }
  std::array<Event, 8> events;
  while (client.dispatch(events) > 0) {
  }
  daemon_.kill();
  std::ofstream(daemon_.config_path()) << R"({"limits":{"user":{"connections":1}}})";
  daemon_.start();
  wait_for(client, Event::Kind::watch_ready);
  const auto next = watcher->next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::limit_exceeded) << next.error().text();
  EXPECT_TRUE(client.list());
}

TEST_F(Reconnect, AnOrderlyEndDisturbsNobody) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 64, .slots = 2});
  ASSERT_TRUE(region->write(bytes("1")));
  auto held = region->read();
  ASSERT_TRUE(region->write(bytes("2")));
  EXPECT_EQ(daemon_.stop(), 0);
  region->set_write_timeout(std::chrono::milliseconds(0));
  EXPECT_EQ(region->write(bytes("3")).error().code, Errc::busy) << "its leases are its own";
  EXPECT_EQ(text(held->data()), "1");
  daemon_.start();
  ASSERT_TRUE(client.list());
  auto next = client.create("b", {.capacity = 64});
  EXPECT_GT(next->info().generation, region->info().generation) << "generations never go back";
}

TEST_F(Reconnect, SessionRegionsStillEndWithTheirCreator) {
  auto reader = daemon_.connect();
  std::optional<Client> creator = daemon_.connect();
  auto region = std::make_optional(std::move(*creator->create("mine", {.capacity = 64})));
  auto reading = reader.open("mine", Access::read);
  daemon_.kill();
  daemon_.start();
  ASSERT_TRUE(creator->list());
  ASSERT_TRUE(reader.list());
  ASSERT_EQ(reader.stat("mine")->region.handles, 2U);
  auto watcher = reader.watch("mine", false);
  region.reset();
  creator.reset();
  for (auto event = watcher->wait(long_enough); event->kind != EventKind::removed; event = watcher->wait(long_enough))
    ASSERT_TRUE(event);
}

TEST_F(Reconnect, WhatTheDeadLeftIsClearedWhenNobodyClaimsIt) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 64, .slots = 2});
  ASSERT_TRUE(region->write(bytes("1")));
  auto child = start_leasing("a");
  ASSERT_TRUE(region->write(bytes("2")));
  daemon_.kill();
  child.signal(SIGKILL);
  child.wait();
  region->set_write_timeout(std::chrono::milliseconds(0));
  EXPECT_EQ(region->write(bytes("3")).error().code, Errc::busy);
  daemon_.start();
  ASSERT_TRUE(client.list());
  region->set_write_timeout(long_enough);
  const auto written = region->write(bytes("3"));
  EXPECT_TRUE(written) << written.error().text();
}

TEST_F(Reconnect, TheWillOfOneWhoDidNotComeBackIsDone) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 64, .slots = 1});
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
  RegionAccess::set_will(*region);
  const auto own = RegionAccess::memory(*region).cell_index();
  const auto theirs = own + 1;
  ASSERT_TRUE(RegionAccess::has_will(*region, theirs));
  ASSERT_TRUE(RegionAccess::subscribe_rings(*region, {7}));
  daemon_.kill();
  child.signal(SIGKILL);
  child.wait();
  daemon_.start();
  while (RegionAccess::has_will(*region, theirs)) wait_for(client, Event::Kind::region_changed);
  EXPECT_TRUE(RegionAccess::has_will(*region, own)) << "who came back is there";
}

TEST_F(Reconnect, AnExclusiveRegionComesBackAndStaysExclusive) {
  auto client = daemon_.connect();
  auto region = client.create("mine", {.capacity = 64, .exclusive = true});
  ASSERT_TRUE(region->write(bytes("1")));
  daemon_.kill();
  daemon_.start();
  ASSERT_TRUE(client.list());
  auto other = daemon_.connect();
  EXPECT_EQ(other.open("mine", Access::write).error().code, Errc::permission_denied);
  auto reader = other.open("mine", Access::read);
  ASSERT_TRUE(reader) << reader.error().text();
  ASSERT_TRUE(region->write(bytes("2")));
  EXPECT_EQ(text(reader->read()->data()), "2");
}

TEST_F(Reconnect, ANameThatWasTakenMeanwhileKeepsItsNewOwner) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 64});
  ASSERT_TRUE(region->write(bytes("old")));
  daemon_.kill();
  daemon_.start();
  auto quick = daemon_.connect();
  auto usurper = quick.create("a", {.capacity = 16});
  ASSERT_TRUE(usurper);
  ASSERT_TRUE(client.list());
  EXPECT_EQ(client.stat("a")->region.capacity, 16U);
  EXPECT_EQ(text(region->read()->data()), "old") << "what was mapped stays";
}

TEST_F(Reconnect, AnAdoptedClientGoesOnWithANewSocket) {
  const std::vector<Grant> grants = {{"a", {Right::read, Right::watch}}};
  auto owner = daemon_.connect();
  auto region = owner.create("a", {.capacity = 64});
  ASSERT_TRUE(region->write(bytes("kept")));
  auto scoped = std::move(*Client::adopt(std::move(*owner.open_connection(grants)), true));
  auto reading = scoped.open("a", Access::read);
  auto watcher = scoped.watch("a", true);
  EXPECT_EQ(scoped.renew(std::move(*owner.open_connection(grants))).error().code, Errc::misuse) << "nothing is lost";
  daemon_.kill();
  wait_for(scoped, Event::Kind::disconnected);
  EXPECT_EQ(scoped.open("a", Access::read).error().code, Errc::disconnected);
  daemon_.start();

  // Too early: memiod does not know the region yet, and would take it only from who may create one.
  auto other = daemon_.connect();
  ASSERT_TRUE(scoped.renew(std::move(*other.open_connection(grants))));
  wait_for(scoped, Event::Kind::reconnected);
  EXPECT_EQ(scoped.stat("a").error().code, Errc::no_such_region);
  ASSERT_TRUE(owner.list());
  std::array<Event, 8> events;
  // Nothing tells of a claim that was taken.
  while (other.stat("a")->region.handles < 2) ASSERT_TRUE(scoped.wait(events, std::chrono::milliseconds(20)));
  EXPECT_EQ(text(reading->read()->data()), "kept");
  for (auto event = watcher->wait(long_enough); event->kind != EventKind::ready; event = watcher->wait(long_enough))
    ASSERT_TRUE(event) << event.error().text();
}

}  // namespace
}  // namespace memio::test

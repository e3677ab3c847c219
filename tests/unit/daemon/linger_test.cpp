// SPDX-License-Identifier: MIT
#include "linger.h"

#include <gtest/gtest.h>

#include "test_registry.h"

namespace memio::broker {
namespace {

class LingerTest : public testing::Test {
 protected:
  Limits limits_;
  EventLoop loop_ = std::move(*EventLoop::make());
  TestRegistry registry_{limits_};
  Linger linger_{loop_, registry_, std::chrono::milliseconds(1), std::chrono::milliseconds(1)};

  void SetUp() override {
    registry_.on_change([this](const auto& region, auto change) {
      if (change != Registry::Change::removed) return;
      linger_.forget(*region);
      loop_.exit(0);
    });
  }
  std::shared_ptr<Region> create(const std::string& name, protocol::Lifetime lifetime) {
    return *registry_.create({.name = name, .capacity = 1, .lifetime = lifetime});
  }
};

TEST_F(LingerTest, AnUnusedLingeringRegionGoesAway) {
  auto region = create("a", protocol::Lifetime::linger);
  linger_.on_unused(region);
  EXPECT_EQ(registry_.find("a"), region) << "not at once";
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("a"), nullptr);
}

TEST_F(LingerTest, OneThatWasOpenedAgainStays) {
  auto used = create("used", protocol::Lifetime::linger);
  auto unused = create("unused", protocol::Lifetime::linger);
  linger_.on_unused(used);
  linger_.on_unused(unused);
  ASSERT_TRUE(used->take_cell());
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("used"), used);
}

TEST_F(LingerTest, OtherLifetimesStay) {
  auto persistent = create("persistent", protocol::Lifetime::persistent);
  auto lingering = create("lingering", protocol::Lifetime::linger);
  linger_.on_unused(persistent);
  linger_.on_unused(lingering);
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("persistent"), persistent);
}

// A region that came back, with its creator's cell waiting to be claimed.
class LingerAfterRestart : public LingerTest {
 protected:
  Region::Fds creators_;  // as long as it lives

  std::shared_ptr<Region> come_back(const std::string& name, protocol::Lifetime lifetime) {
    const auto before = create(name, lifetime);
    const auto cell = before->take_cell();
    EXPECT_TRUE(cell);
    creators_ = *before->fds_for(Access::write);
    Region::tie_cell(*cell, creators_);
    auto fds = *before->fds_for(Access::write);
    RegionRecord record{.spec = before->spec(), .taken = before->taken(), .creator_cell = 1};
    registry_.on_change({});
    registry_.remove(before);
    SetUp();
    auto region = registry_.restore(record, std::move(fds), [](Region&) {});
    EXPECT_TRUE(region) << region.error().text();
    return *region;
  }
};

TEST_F(LingerAfterRestart, ASessionRegionWhoseCreatorIsGoneGoesAwayEvenIfOthersHaveIt) {
  auto region = come_back("a", protocol::Lifetime::session);
  ASSERT_TRUE(region->take_cell()) << "somebody opens it";
  creators_ = {};
  linger_.on_adopted(region);
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("a"), nullptr);
}

TEST_F(LingerAfterRestart, ASessionRegionWhoseCreatorLivesStaysHoweverLongItDoesNotSay) {
  auto region = come_back("a", protocol::Lifetime::session);
  const auto creators = std::move(creators_);
  auto other = come_back("other", protocol::Lifetime::session);
  creators_ = {};
  linger_.on_adopted(region);
  linger_.on_adopted(other);  // its time is over after that of the first
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("other"), nullptr);
  EXPECT_EQ(registry_.find("a"), region);
  EXPECT_TRUE(region->claim_cell(1));
}

TEST_F(LingerAfterRestart, ACreatorThatLeavesLaterTakesItsRegionAlong) {
  auto region = come_back("a", protocol::Lifetime::session);
  auto timer = *loop_.add_timer([&] { creators_ = {}; }, std::chrono::microseconds(1));
  linger_.on_adopted(region);
  timer.start_timer(std::chrono::milliseconds(2));  // its first look is over
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("a"), nullptr);
}

TEST_F(LingerAfterRestart, ASessionRegionThatItsCreatorHasAgainStays) {
  auto claimed = come_back("claimed", protocol::Lifetime::session);
  auto other = come_back("other", protocol::Lifetime::session);
  creators_ = {};
  ASSERT_TRUE(claimed->claim_cell(1));
  claimed->set_orphaned(false);
  linger_.on_adopted(claimed);
  linger_.on_adopted(other);
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("claimed"), claimed);
  EXPECT_EQ(registry_.find("other"), nullptr);
}

TEST_F(LingerAfterRestart, WhatALingeringRegionHasWaitedCounts) {
  auto region = create("a", protocol::Lifetime::linger);
  region->set_unused_since(std::chrono::microseconds(1));  // for as long as the machine runs
  const auto nearly = std::chrono::duration_cast<std::chrono::milliseconds>(region->unused_for());
  Linger patient(loop_, registry_, nearly + std::chrono::milliseconds(20), std::chrono::milliseconds(1));
  patient.on_unused(region);
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(registry_.find("a"), nullptr);
}

}  // namespace
}  // namespace memio::broker

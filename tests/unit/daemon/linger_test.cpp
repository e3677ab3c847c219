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

}  // namespace
}  // namespace memio::broker

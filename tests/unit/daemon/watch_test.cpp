// SPDX-License-Identifier: MIT
#include "watch.h"

#include <gtest/gtest.h>

#include "test_registry.h"

namespace memio::broker {
namespace {

class WatchTest : public testing::Test {
 protected:
  Limits limits_;
  TestRegistry registry_{limits_};
  bool can_send_ = true;
  std::vector<std::string> told_;  // "kind name"

  Watch make(bool versions = true) {
    return Watch({.may_watch = [](const std::string& name) { return name != "secret"; },
                  .can_send = [this] { return can_send_; },
                  .send =
                      [this](const protocol::WatchReply& event) {
                        constexpr std::array kinds = {"present", "ready", "created", "removed", "version"};
                        told_.push_back(std::string(kinds[static_cast<std::size_t>(event.event)]) +
                                        (event.region ? " " + event.region->name : ""));
                      },
                  .wake = [] {}},
                 std::nullopt, versions);
  }
  std::shared_ptr<Region> create(const std::string& name) { return *registry_.create({.name = name, .capacity = 1}); }
  using Told = std::vector<std::string>;
};

TEST_F(WatchTest, FirstTellsWhatIsThereThenReady) {
  create("b");
  create("a");
  create("secret");
  auto watch = make();
  watch.start(registry_, [](const auto&) {});
  watch.flush(1000);
  EXPECT_EQ(told_, (Told{"present a", "present b", "ready"}));
}

TEST_F(WatchTest, TellsThingsInTheirOrder) {
  auto watch = make();
  auto region = create("a");
  watch.note(region, EventKind::created);
  watch.note(region, EventKind::version);
  watch.flush(1000);
  watch.note(region, EventKind::removed);
  watch.flush(1000);
  EXPECT_EQ(told_, (Told{"created a", "version a", "removed a"}));
}

TEST_F(WatchTest, MergesWhatASlowSessionHasNotTaken) {
  auto watch = make();
  auto region = create("a");
  can_send_ = false;
  watch.note(region, EventKind::created);
  for (int i = 0; i < 1000; ++i) {
    watch.note(region, EventKind::version);
    watch.flush(1000);
  }
  EXPECT_TRUE(told_.empty());
  can_send_ = true;
  watch.flush(1000);
  EXPECT_EQ(told_, (Told{"created a", "version a"}));
}

TEST_F(WatchTest, WhatCameAndWentUnseenIsNotTold) {
  auto watch = make();
  auto region = create("a");
  can_send_ = false;
  watch.note(region, EventKind::created);
  watch.note(region, EventKind::version);
  watch.note(region, EventKind::removed);
  can_send_ = true;
  watch.flush(1000);
  EXPECT_TRUE(told_.empty());
}

TEST_F(WatchTest, ASecondRegionOfTheSameNameIsAnotherRegion) {
  auto watch = make();
  auto old = create("a");
  watch.note(old, EventKind::created);
  watch.flush(1000);
  can_send_ = false;
  watch.note(old, EventKind::removed);
  registry_.remove(old);
  watch.note(create("a"), EventKind::created);
  can_send_ = true;
  watch.flush(1000);
  EXPECT_EQ(told_, (Told{"created a", "removed a", "created a"}));
}

TEST_F(WatchTest, WantsVersionsOnlyIfAskedAndAllowed) {
  EXPECT_TRUE(make(true).wants_versions("a"));
  EXPECT_FALSE(make(true).wants_versions("secret"));
  EXPECT_FALSE(make(false).wants_versions("a"));
}

}  // namespace
}  // namespace memio::broker

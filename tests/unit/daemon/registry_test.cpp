// SPDX-License-Identifier: MIT
#include "registry.h"

#include <gtest/gtest.h>

#include "test_registry.h"

namespace memio::broker {
namespace {

class RegistryTest : public testing::Test {
 protected:
  Limits limits_{.connection = {.regions = 2, .bytes = 1 << 20}, .handles_per_region = 3};
  TestRegistry registry_{limits_};
};

TEST_F(RegistryTest, FindsWhatItMadeUntilItIsRemoved) {
  auto region = registry_.create({.name = "a", .capacity = 10});
  ASSERT_TRUE(region);
  EXPECT_EQ(registry_.find("a"), *region);
  EXPECT_EQ((*region)->geometry().slots, 4U);
  EXPECT_EQ((*region)->lifetime(), protocol::Lifetime::session);
  registry_.remove(*region);
  EXPECT_EQ(registry_.find("a"), nullptr);
}

TEST_F(RegistryTest, ANameReusedHasAnotherGeneration) {
  auto old = *registry_.create({.name = "a", .capacity = 10});
  registry_.remove(old);
  auto region = *registry_.create({.name = "a", .capacity = 10});
  EXPECT_GT(region->generation(), old->generation());
  registry_.remove(old);
  EXPECT_EQ(registry_.find("a"), region) << "removing the old one must not remove its successor";
}

TEST_F(RegistryTest, RefusesWhatIsTakenAndWhatIsTooMuch) {
  ASSERT_TRUE(registry_.create({.name = "a", .capacity = 10}));
  EXPECT_EQ(registry_.create({.name = "a", .capacity = 10}).error().code, Errc::region_exists);
  ASSERT_TRUE(registry_.create({.name = "b", .capacity = 10}));
  const auto third = registry_.create({.name = "c", .capacity = 10});
  EXPECT_EQ(third.error().code, Errc::limit_exceeded);
  EXPECT_NE(third.error().message.find('2'), std::string::npos);
}

TEST_F(RegistryTest, TellsOfEachChangeOnce) {
  std::vector<std::pair<std::string, Registry::Change>> changes;
  registry_.on_change([&](const auto& region, auto change) { changes.emplace_back(region->name(), change); });
  auto region = *registry_.create({.name = "a", .capacity = 10});
  registry_.remove(region);
  registry_.remove(region);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].second, Registry::Change::created);
  EXPECT_EQ(changes[1].second, Registry::Change::removed);
}

}  // namespace
}  // namespace memio::broker

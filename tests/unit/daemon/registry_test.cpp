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

RegionRecord record_of(const Region& region) {
  return {.spec = region.spec(), .taken = region.taken(), .creator_cell = region.creator_cell()};
}

TEST_F(RegistryTest, TakesBackWhatAnEarlierOneHad) {
  TestRegistry earlier{limits_};
  const auto region = *earlier.create({.name = "a", .capacity = 10, .lifetime = protocol::Lifetime::persistent});
  registry_.start_after(1000);
  const auto back = registry_.restore(record_of(*region), std::move(*region->fds_for(Access::write)), [](Region&) {});
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(registry_.find("a"), *back);
  EXPECT_EQ((*back)->generation(), region->generation());
  EXPECT_GT((*registry_.create({.name = "b", .capacity = 10}))->generation(), 1000U) << "generations never go back";
}

TEST_F(RegistryTest, WhatWasRemovedComesBackWithoutItsName) {
  TestRegistry earlier{limits_};
  const auto region = *earlier.create({.name = "a", .capacity = 10});
  auto record = record_of(*region);
  record.nameless = true;
  const auto back = registry_.restore(record, std::move(*region->fds_for(Access::write)), [](Region&) {});
  ASSERT_TRUE(back);
  EXPECT_EQ(registry_.find("a"), nullptr);
  EXPECT_EQ(registry_.find_same("a", *region->fds_for(Access::write)), *back);
  EXPECT_EQ(registry_.find_same("b", *region->fds_for(Access::write)), nullptr);
  EXPECT_TRUE(registry_.create({.name = "a", .capacity = 10})) << "the name is free";
}

protocol::AttachParameters shown(const Region& region) {
  return {.name = region.name(),
          .capacity = region.geometry().capacity,
          .slots = region.geometry().slots,
          .lifetime = region.lifetime(),
          .cells = region.cells()};
}

TEST_F(RegistryTest, WhatAClientShowsIsWhatItWasEvenIfNothingElseIsKnown) {
  TestRegistry earlier{limits_};
  const auto region = *earlier.create({.name = "a", .capacity = 10});
  const auto removed = *earlier.create({.name = "b", .capacity = 10});
  removed->note_removed();
  registry_.start_after(1000);
  const auto back = registry_.adopt(shown(*region), *region->fds_for(Access::write));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ((*back)->generation(), region->generation());
  EXPECT_EQ(registry_.find("a"), *back);
  const auto nameless = registry_.adopt(shown(*removed), *removed->fds_for(Access::write));
  ASSERT_TRUE(nameless) << nameless.error().text();
  EXPECT_EQ(registry_.find("b"), nullptr);
  EXPECT_EQ(registry_.find_same("b", *removed->fds_for(Access::write)), *nameless);
}

TEST_F(RegistryTest, AGenerationThatCannotBeTrueIsNotBelieved) {
  TestRegistry earlier{limits_};
  registry_.start_after(1000);
  const auto first = *earlier.create({.name = "a", .capacity = 10});
  const auto second = *earlier.create({.name = "b", .capacity = 10});
  const auto adopt = [&](const auto& region) {
    return registry_.adopt(shown(*region), *region->fds_for(Access::write)).value();
  };
  second->set_generation(first->generation());
  auto back = adopt(first);
  EXPECT_EQ(back->generation(), first->generation());
  EXPECT_EQ(adopt(second)->generation(), 1001U) << "another has that one";
  registry_.remove(back);
  back.reset();  // its place is free
  first->set_generation(5000);
  EXPECT_EQ(adopt(first)->generation(), 1002U) << "none had come so far";
}

TEST_F(RegistryTest, OneWhoseHandleIsNotClaimedIsNotTakenBack) {
  TestRegistry earlier{limits_};
  const auto region = *earlier.create({.name = "a", .capacity = 10});
  const auto refused = registry_.adopt(shown(*region), *region->fds_for(Access::write), registry_.payer(),
                                       [](const auto&) { return fail(Errc::limit_exceeded, "no handle"); });
  EXPECT_EQ(refused.error().code, Errc::limit_exceeded);
  EXPECT_TRUE(registry_.regions().empty());
  EXPECT_EQ(registry_.payer().used(Resource::regions), 0U);
  EXPECT_TRUE(registry_.adopt(shown(*region), *region->fds_for(Access::write)));
}

TEST_F(RegistryTest, WhatComesBackIsChargedEvenOverAQuotaThatBecameSmaller) {
  TestRegistry earlier{limits_};
  const auto region = *earlier.create({.name = "a", .capacity = 10});
  limits_.connection.regions = 0;
  const auto back = registry_.restore(record_of(*region), *region->fds_for(Access::write), [](Region&) {});
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(registry_.payer().used(Resource::regions), 1U);
  EXPECT_EQ(registry_.payer().used(Resource::bytes), region->geometry().total_size());
  EXPECT_EQ(registry_.create({.name = "b", .capacity = 10}).error().code, Errc::limit_exceeded);
}

TEST_F(RegistryTest, WhatIsNotTheRegionIsNotTakenBack) {
  TestRegistry earlier{limits_};
  const auto region = *earlier.create({.name = "a", .capacity = 10});
  const auto other = *earlier.create({.name = "b", .capacity = 100'000});
  EXPECT_EQ(
      registry_.restore(record_of(*region), std::move(*other->fds_for(Access::write)), [](Region&) {}).error().code,
      Errc::not_the_region);
  EXPECT_FALSE(registry_.restore(record_of(*region), {}, [](Region&) {}));
}

}  // namespace
}  // namespace memio::broker

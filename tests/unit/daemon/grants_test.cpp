// SPDX-License-Identifier: MIT
#include "grants.h"

#include <gtest/gtest.h>

namespace memio::broker {
namespace {

TEST(Grants, AFreshSessionMayEverything) {
  const Grants all;
  EXPECT_TRUE(all.allows("any/name", Right::remove));
  EXPECT_TRUE(all.knows("any/name"));
}

TEST(Grants, NarrowedOnesAllowWhatIsListedAndNothingElse) {
  const auto some = Grants().narrowed({{"a/*", {Right::read}}, {"b", {Right::write, Right::watch}}});
  ASSERT_TRUE(some);
  EXPECT_TRUE(some->allows("a/x", Right::read));
  EXPECT_FALSE(some->allows("a/x", Right::write));
  EXPECT_FALSE(some->allows("a/x/y", Right::read));
  EXPECT_TRUE(some->allows("b", Right::watch));
  EXPECT_FALSE(some->knows("c"));
  EXPECT_TRUE(some->knows("b"));
}

TEST(Grants, EveryLevelMustAllow) {
  const auto outer = Grants().narrowed({{"a/**", {Right::read, Right::write}}});
  const auto inner = outer->narrowed({{"**", {Right::read, Right::remove}}});
  EXPECT_TRUE(inner->allows("a/b", Right::read));
  EXPECT_FALSE(inner->allows("a/b", Right::write));
  EXPECT_FALSE(inner->allows("a/b", Right::remove));
  EXPECT_FALSE(inner->allows("b", Right::read));
}

TEST(Grants, RightsOnANameAddUp) {
  const auto some = Grants().narrowed({{"a/*", {Right::read}}, {"a/b", {Right::read, Right::write}}, {"*/b", {Right::emit}}});
  for (const auto right : {Right::read, Right::write, Right::emit}) EXPECT_TRUE(some->allows("a/b", right));
  EXPECT_FALSE(some->allows("a/c", Right::write));
  EXPECT_FALSE(some->knows("c/b")) << "none of the rights is about regions";
}

TEST(Grants, CountThoseOfAllLevels) {
  const auto outer = Grants().narrowed({{"a/**", {Right::read}}, {"b", {}}});
  EXPECT_EQ(outer->narrowed({{"**", {Right::read}}})->count(), 3U);
  EXPECT_EQ(Grants().count(), 0U);
}

TEST(Grants, AnEmptyListAllowsNothing) {
  const auto none = Grants().narrowed({});
  EXPECT_FALSE(none->knows("a"));
}

TEST(Grants, ABadPatternIsRefused) {
  EXPECT_EQ(Grants().narrowed({{"", {Right::read}}}).error().code, Errc::invalid_pattern);
}

}  // namespace
}  // namespace memio::broker

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

TEST(Grants, AnEmptyListAllowsNothing) {
  const auto none = Grants().narrowed({});
  EXPECT_FALSE(none->knows("a"));
}

TEST(Grants, ABadPatternIsRefused) {
  EXPECT_EQ(Grants().narrowed({{"", {Right::read}}}).error().code, Errc::invalid_pattern);
}

}  // namespace
}  // namespace memio::broker

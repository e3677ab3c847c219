// SPDX-License-Identifier: MIT
#include "app/policy.h"

#include <gtest/gtest.h>

namespace memio::webext {

namespace {

using protocol::Right;

std::vector<std::string> patterns_of(const Policy& policy, const char* own, const char* page = nullptr) {
  FrameAddress address{*Origin::of_uri(own), {}};
  if (page) address.around.push_back(*Origin::of_uri(page));
  std::vector<std::string> patterns;
  for (const auto& grant : policy.grants_of(address)) patterns.push_back(grant.pattern);
  return patterns;
}

TEST(Policy, AllowsNothingAtFirst) { EXPECT_TRUE(patterns_of({}, "https://a/").empty()); }

TEST(Policy, AFrameHasWhatItsOwnRulesGrant) {
  Policy policy;
  ASSERT_TRUE(policy.allow("https://app", "app/**", {Right::read}));
  ASSERT_TRUE(policy.allow("https://*", "any", {Right::read}));
  ASSERT_TRUE(policy.allow_inside("https://app", "https://widget", "widget", {Right::read}));
  using Names = std::vector<std::string>;
  EXPECT_EQ(patterns_of(policy, "https://app/"), (Names{"app/**", "any"}));
  EXPECT_EQ(patterns_of(policy, "https://widget/", "https://app/"), Names{"widget"});
  EXPECT_EQ(patterns_of(policy, "https://app/", "https://app/"), Names{});
  EXPECT_EQ(patterns_of(policy, "https://widget/", "https://other/"), Names{});
}

TEST(Policy, RefusesMistakes) {
  Policy policy;
  EXPECT_EQ(policy.allow("app", "a", {Right::read}).error().code, Errc::invalid_pattern);
  EXPECT_EQ(policy.allow("https://a", "../a", {Right::read}).error().code, Errc::invalid_pattern);
  EXPECT_EQ(policy.allow_inside("app", "https://a", "a", {Right::read}).error().code, Errc::invalid_pattern);
  EXPECT_EQ(policy.enable("https://a", "turbo").error().code, Errc::invalid_parameter);
  EXPECT_TRUE(policy.rules().empty());
}

TEST(Policy, OptionsAloneGrantNothing) {
  Policy policy;
  ASSERT_TRUE(policy.enable("*", "workers"));
  EXPECT_TRUE(patterns_of(policy, "https://a/").empty());
}

}  // namespace

}  // namespace memio::webext

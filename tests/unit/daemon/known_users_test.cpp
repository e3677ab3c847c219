// SPDX-License-Identifier: MIT
#include "known_users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace memio::broker {
namespace {

using testing::HasSubstr;

// As the kernel writes it: first inside, first outside, how many.
constexpr auto all = "         0          0 4294967295\n";
constexpr auto one = "      1000       1000          1\n";

TEST(KnownUsers, AreAllWhereThereIsNoNamespace) {
  const KnownUsers users(all);
  EXPECT_TRUE(users.contains(0));
  EXPECT_TRUE(users.contains(4'294'967'294));
  EXPECT_TRUE(users.check({{1001, {}}, {65'534, {}}}));
}

TEST(KnownUsers, AreThoseThatAreMappedInANamespace) {
  const KnownUsers users(std::string(one) + "100000 200000 10\n");
  EXPECT_FALSE(users.contains(0));
  EXPECT_FALSE(users.contains(999));
  EXPECT_TRUE(users.contains(1000));
  EXPECT_FALSE(users.contains(1001));
  EXPECT_FALSE(users.contains(65'534));
  EXPECT_TRUE(users.contains(100'009));
  EXPECT_FALSE(users.contains(100'010));
  EXPECT_FALSE(users.contains(200'000)) << "its number outside";
}

TEST(KnownUsers, APolicyForAnotherIsRefusedWithWhatToDo) {
  const KnownUsers users(one);
  EXPECT_TRUE(users.check({}));
  EXPECT_TRUE(users.check({{1000, {}}}));
  const auto checked = users.check({{1000, {}}, {1001, {}}});
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("policy.1001"));
  EXPECT_THAT(checked.error().message, HasSubstr("PrivateUsers=no"));
  EXPECT_FALSE(users.check({{65'534, {}}})) << "nobody would be everybody";
}

TEST(KnownUsers, AreNoneIfNothingIsKnownOfThem) { EXPECT_FALSE(KnownUsers("").check({{1000, {}}})); }

TEST(KnownUsers, OfThisProcessAreItsOwnAtLeast) { EXPECT_TRUE(KnownUsers::of_this_process().contains(::geteuid())); }

}  // namespace
}  // namespace memio::broker

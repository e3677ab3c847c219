// SPDX-License-Identifier: MIT
#include "account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memio::broker {
namespace {

using testing::HasSubstr;

class AccountTest : public testing::Test {
 protected:
  Quota user_quota_{.regions = 3, .bytes = 1000, .messages_per_second = 100};
  Quota quota_{.regions = 2, .bytes = 600, .messages_per_second = 10};
  Quota scoped_quota_{.regions = 1, .bytes = 600, .messages_per_second = 5};
  Accounts accounts_{user_quota_};
  std::shared_ptr<Account> user_ = accounts_.of_user(1000);
  std::shared_ptr<Account> one_ = make(Account::Kind::connection, quota_, user_);
  std::shared_ptr<Account> other_ = make(Account::Kind::connection, quota_, user_);

  static std::shared_ptr<Account> make(Account::Kind kind, const Quota& quota, std::shared_ptr<Account> above) {
    return std::make_shared<Account>(kind, 1000, quota, std::move(above));
  }
};

TEST_F(AccountTest, AChargeIsGivenBackByItsEnd) {
  {
    const auto charge = one_->charge(Resource::bytes, 500);
    ASSERT_TRUE(charge);
    EXPECT_EQ(one_->used(Resource::bytes), 500U);
    EXPECT_EQ(user_->used(Resource::bytes), 500U);
    EXPECT_EQ(other_->used(Resource::bytes), 0U);
  }
  EXPECT_EQ(one_->used(Resource::bytes), 0U);
  EXPECT_EQ(user_->used(Resource::bytes), 0U);
}

TEST_F(AccountTest, NothingIsChargedByARefusalWhichSaysAll) {
  const auto all = one_->charge(Resource::regions, 2);
  const auto refused = one_->charge(Resource::regions);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit_exceeded);
  EXPECT_EQ(refused.error().message,
            "this connection may have 2 regions, has 2 and asks for 1 more; remove some, or raise "
            "limits.connection.regions in memiod.conf");
  EXPECT_EQ(one_->used(Resource::regions), 2U);
  EXPECT_EQ(user_->used(Resource::regions), 2U);
}

TEST_F(AccountTest, AUsersConnectionsShareItsQuota) {
  const auto all = one_->charge(Resource::regions, 2);
  const auto last = other_->charge(Resource::regions);
  ASSERT_TRUE(last);
  const auto refused = other_->charge(Resource::regions);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("this user may have 3 regions"));
  EXPECT_EQ(other_->used(Resource::regions), 1U);
}

TEST_F(AccountTest, AScopedConnectionTakesFromItsMakerButNotAll) {
  const auto page = make(Account::Kind::scoped, scoped_quota_, one_);
  const auto region = page->charge(Resource::regions);
  ASSERT_TRUE(region);
  EXPECT_EQ(one_->used(Resource::regions), 1U);
  const auto refused = page->charge(Resource::regions);
  EXPECT_THAT(refused.error().message, HasSubstr("limits.scoped.regions"));
  EXPECT_TRUE(one_->charge(Resource::regions));
}

TEST_F(AccountTest, WhatIsChargedKeepsTheAccount) {
  auto charge = *one_->charge(Resource::bytes, 10);
  one_.reset();
  EXPECT_EQ(user_->used(Resource::bytes), 10U);
  charge = Charge();
  EXPECT_EQ(user_->used(Resource::bytes), 0U);
}

TEST_F(AccountTest, AChargeCanGrowAndShrink) {
  auto charge = *one_->charge(Resource::bytes, 0);
  ASSERT_TRUE(charge.resize(600));
  EXPECT_FALSE(charge.resize(601));
  EXPECT_EQ(one_->used(Resource::bytes), 600U);
  ASSERT_TRUE(charge.resize(5));
  auto moved = std::move(charge);
  EXPECT_EQ(user_->used(Resource::bytes), 5U);
  moved = *other_->charge(Resource::regions);
  EXPECT_EQ(user_->used(Resource::bytes), 0U);
}

TEST_F(AccountTest, ASmallerQuotaTakesNothingAway) {
  auto charge = *one_->charge(Resource::bytes, 500);
  quota_.bytes = 100;
  EXPECT_FALSE(one_->charge(Resource::bytes, 0)) << "it has more than it may have";
  EXPECT_EQ(charge.amount(), 500U);
  ASSERT_TRUE(charge.resize(50));
  EXPECT_TRUE(one_->charge(Resource::bytes, 50));
}

TEST_F(AccountTest, ASecondsWorthOfMessagesMayComeAtOnce) {
  const Account::Clock::time_point start{std::chrono::hours(1)};
  int messages = 0;
  for (; one_->wait_for_message(start) <= Account::Clock::duration::zero() && messages < 1000; ++messages)
    one_->count_message(start);
  EXPECT_EQ(messages, 11);
  EXPECT_EQ(one_->wait_for_message(start), std::chrono::milliseconds(100));
  EXPECT_LE(one_->wait_for_message(start + std::chrono::milliseconds(100)), Account::Clock::duration::zero());
  EXPECT_LE(other_->wait_for_message(start), Account::Clock::duration::zero());
}

TEST_F(AccountTest, MessagesCountForAllAbove) {
  const Account::Clock::time_point now{std::chrono::hours(1)};
  for (int i = 0; i < 12; ++i) one_->count_message(now);
  const auto page = make(Account::Kind::scoped, scoped_quota_, one_);
  EXPECT_GT(page->wait_for_message(now), Account::Clock::duration::zero());
}

TEST_F(AccountTest, AUsersAccountIsThereAsLongAsItIsUsed) {
  EXPECT_EQ(accounts_.of_user(1000), user_);
  EXPECT_EQ(one_->of_user(), user_);
  EXPECT_EQ(accounts_.all().size(), 1U);
  user_.reset();
  one_.reset();
  other_.reset();
  EXPECT_TRUE(accounts_.all().empty());
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "topics.h"

#include <gtest/gtest.h>

#include "test_mailbox.h"

namespace memio::broker {
namespace {

using Told = std::vector<std::string>;

TEST(Topics, TellThoseWhoListenOnceEach) {
  Topics topics;
  TestMailbox one;
  TestMailbox other;
  ASSERT_TRUE(topics.listen("a/*", one));
  ASSERT_TRUE(topics.listen("**", one));
  ASSERT_TRUE(topics.listen("b", other));
  EXPECT_EQ(topics.emit("a/x", JsonText{"1"}), 1U);
  EXPECT_EQ(topics.emit("b", std::nullopt), 2U);
  EXPECT_EQ(one.take(), (Told{"message a/x 1", "message b"}));
  EXPECT_EQ(other.take(), Told{"message b"});
  EXPECT_EQ(topics.emitted(), 2U);
}

TEST(Topics, AreNotToldToThoseWhoMayNotListen) {
  Topics topics;
  TestMailbox box;
  ASSERT_TRUE(topics.listen("**", box));
  EXPECT_EQ(topics.emit("secret", std::nullopt), 0U);
  EXPECT_EQ(box.take(), Told{});
}

TEST(Topics, AreListenedToUntilUnlisten) {
  Topics topics;
  TestMailbox box;
  ASSERT_TRUE(topics.listen("a", box));
  ASSERT_TRUE(topics.listen("a", box));
  EXPECT_EQ(topics.listens(box), 2U);
  ASSERT_TRUE(topics.unlisten("a", box));
  EXPECT_EQ(topics.emit("a", std::nullopt), 1U);
  ASSERT_TRUE(topics.unlisten("a", box));
  EXPECT_EQ(topics.emit("a", std::nullopt), 0U);
  EXPECT_EQ(topics.unlisten("a", box).error().code, Errc::invalid_parameter);
  EXPECT_EQ(box.used(Resource::listens), 0U);
}

TEST(Topics, ForgetWhoGoes) {
  Topics topics;
  TestMailbox box;
  ASSERT_TRUE(topics.listen("a", box));
  topics.forget(box);
  EXPECT_EQ(topics.emit("a", std::nullopt), 0U);
  EXPECT_EQ(topics.listeners(), 0U);
  EXPECT_EQ(box.used(Resource::listens), 0U);
}

TEST(Topics, HaveAQuota) {
  Topics topics;
  TestMailbox box({}, Quota{.listens = 1});
  ASSERT_TRUE(topics.listen("a", box));
  EXPECT_EQ(topics.listen("b", box).error().code, Errc::limit_exceeded);
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "commands.h"

#include <gtest/gtest.h>

#include "test_mailbox.h"

namespace memio::broker {
namespace {

using namespace std::chrono_literals;
using Told = std::vector<std::string>;

class CommandsTest : public testing::Test {
 protected:
  Commands::Clock::time_point now_ = Commands::Clock::now();
  std::optional<Commands::Clock::time_point> wake_at_;
  Commands commands_{[this](Commands::Clock::time_point time) { wake_at_ = time; }};
  TestMailbox handler_;
  TestMailbox caller_;

  void TearDown() override {
    commands_.forget(handler_);
    commands_.forget(caller_);
    EXPECT_EQ(commands_.counts().commands, 0U);
    EXPECT_EQ(commands_.counts().calls, 0U);
    handler_.take();
    caller_.take();
    for (const auto& box : {&handler_, &caller_})
      for (const auto resource : {Resource::calls, Resource::commands, Resource::mail_bytes, Resource::fds})
        EXPECT_EQ(box->used(resource), 0U) << static_cast<int>(resource);
  }
  Errc invoke(std::uint64_t id, std::optional<std::chrono::milliseconds> timeout = {}, const char* arguments = "null") {
    auto invoked =
        commands_.invoke(caller_, {.name = "c", .arguments = JsonText{arguments}, .timeout = timeout, .id = id}, now_);
    return invoked ? Errc::system : invoked.error().code;
  }
  // The number of the call that the handler was told of last.
  std::uint64_t taken() {
    handler_.take();
    return handler_.numbers_.back();
  }
};

TEST_F(CommandsTest, AnswersCallsInAnyOrder) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1, {}, "[1]");
  invoke(2, {}, "[2]");
  EXPECT_EQ(handler_.take(), (Told{"call c [1]", "call c [2]"}));
  EXPECT_EQ(commands_.counts(caller_).calls, 2U);
  EXPECT_EQ(caller_.used(Resource::calls), 2U);
  commands_.answer(handler_, handler_.numbers_[1], {.result = JsonText{"\"b\""}});
  commands_.answer(handler_, handler_.numbers_[0], {.result = JsonText{"\"a\""}});
  EXPECT_EQ(caller_.used(Resource::calls), 2U) << "until they are told";
  EXPECT_EQ(caller_.take(), (Told{"answer 2 \"b\"", "answer 1 \"a\""}));
}

TEST_F(CommandsTest, ACommandHasOneHandler) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  EXPECT_EQ(commands_.handle("c", caller_).error().code, Errc::command_exists);
  EXPECT_EQ(commands_.handle("c", handler_).error().code, Errc::command_exists);
  EXPECT_EQ(commands_.unhandle("c", caller_).error().code, Errc::no_such_command);
  ASSERT_TRUE(commands_.unhandle("c", handler_));
  EXPECT_EQ(invoke(1), Errc::no_such_command);
  EXPECT_TRUE(commands_.handle("c", caller_));
}

TEST_F(CommandsTest, WhatWasCalledBeforeUnhandleIsStillAnswered) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  ASSERT_TRUE(commands_.unhandle("c", handler_));
  commands_.answer(handler_, taken(), {.result = JsonText{"1"}});
  EXPECT_EQ(caller_.take(), Told{"answer 1 1"});
}

TEST_F(CommandsTest, OnlyTheHandlerAnswersAndOnlyOnce) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  const auto number = taken();
  commands_.answer(caller_, number, {.result = JsonText{"1"}});
  commands_.answer(handler_, number + 1, {.result = JsonText{"1"}});
  EXPECT_EQ(caller_.take(), Told{});
  commands_.answer(handler_, number, {.error = Error{Errc::command_failed}});
  commands_.answer(handler_, number, {.result = JsonText{"1"}});
  EXPECT_EQ(caller_.take(), Told{"answer 1 io.memio.CommandFailed"});
}

TEST_F(CommandsTest, ACancelledCallIsOverForBoth) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  const auto number = taken();
  commands_.cancel(caller_, 2);
  commands_.cancel(handler_, 1);
  EXPECT_EQ(commands_.counts().calls, 1U);
  commands_.cancel(caller_, 1);
  EXPECT_EQ(handler_.take(), Told{"cancel"});
  EXPECT_EQ(caller_.take(), Told{"answer 1 io.memio.CallCancelled"});
  commands_.answer(handler_, number, {.result = JsonText{"1"}});
  commands_.cancel(caller_, 1);
  EXPECT_EQ(caller_.take(), Told{});
  EXPECT_EQ(handler_.take(), Told{});
}

TEST_F(CommandsTest, ACallThatNobodyHasSeenIsTakenBack) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  commands_.cancel(caller_, 1);
  EXPECT_EQ(handler_.take(), Told{});
}

TEST_F(CommandsTest, TimesOut) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1, 500ms);
  EXPECT_EQ(wake_at_, now_ + 500ms);
  invoke(2, 100ms);
  EXPECT_EQ(wake_at_, now_ + 100ms);
  wake_at_.reset();
  invoke(3, 300ms);
  EXPECT_FALSE(wake_at_) << "it wakes before that anyway";
  handler_.take();
  commands_.expire(now_ + 300ms);
  EXPECT_EQ(caller_.take(), (Told{"answer 2 io.memio.CallTimedOut", "answer 3 io.memio.CallTimedOut"}));
  EXPECT_EQ(handler_.take(), (Told{"cancel", "cancel"}));
  EXPECT_EQ(wake_at_, now_ + 500ms);
  commands_.answer(handler_, handler_.numbers_[0], {.result = JsonText{"1"}});
  commands_.expire(now_ + 1000ms);
  EXPECT_EQ(caller_.take(), Told{"answer 1 1"});
}

TEST_F(CommandsTest, ManyTimeOutInPieces) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  for (std::uint64_t i = 0; i < 1000; ++i) invoke(i, 1ms);
  commands_.expire(now_ + 1ms);
  EXPECT_GT(commands_.counts().calls, 0U);
  EXPECT_EQ(wake_at_, now_ + 1ms) << "which is at once";
  while (commands_.counts().calls > 0) commands_.expire(now_ + 1ms);
  EXPECT_EQ(caller_.take().size(), 1000U);
}

TEST_F(CommandsTest, ATimeoutMayBeAnyNumber) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1, std::chrono::milliseconds::max());
  invoke(2, 0ms);
  commands_.expire(now_);
  EXPECT_EQ(caller_.take(), Told{"answer 2 io.memio.CallTimedOut"});
}

TEST_F(CommandsTest, TheHandlersEndEndsItsCalls) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  handler_.take();
  invoke(2);
  commands_.forget(handler_);
  EXPECT_EQ(caller_.take(), (Told{"answer 1 io.memio.HandlerGone", "answer 2 io.memio.HandlerGone"}));
  EXPECT_EQ(invoke(3), Errc::no_such_command);
}

TEST_F(CommandsTest, TheCallersEndCancelsItsCalls) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  handler_.take();
  invoke(2);
  commands_.forget(caller_);
  EXPECT_EQ(handler_.take(), Told{"cancel"}) << "of the one that it knows";
  EXPECT_EQ(caller_.take(), Told{});
}

TEST_F(CommandsTest, WhoCallsItselfMayGoToo) {
  ASSERT_TRUE(commands_.handle("c", caller_));
  invoke(1);
  caller_.take();
  commands_.forget(caller_);
  EXPECT_EQ(caller_.take(), Told{});
}

TEST_F(CommandsTest, ACallWhoseAnswerNobodyWantsHasNone) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  ASSERT_TRUE(commands_.invoke(caller_, {.name = "c", .wants_answer = false}, now_));
  commands_.answer(handler_, taken(), {.result = JsonText{"1"}});
  EXPECT_EQ(caller_.take(), Told{});
}

TEST_F(CommandsTest, ACallThatCannotBeDeliveredFails) {
  ASSERT_TRUE(commands_.handle("c", handler_));
  invoke(1);
  commands_.fail_call(taken(), Error{Errc::limit_exceeded});
  EXPECT_EQ(caller_.take(), Told{"answer 1 io.memio.LimitExceeded"});
}

TEST(CommandsQuotas, AreTheCallers) {
  Commands commands([](Commands::Clock::time_point) {});
  TestMailbox handler;
  TestMailbox caller({}, Quota{.commands = 0, .calls = 2, .mail_bytes = 10});
  EXPECT_EQ(commands.handle("d", caller).error().code, Errc::limit_exceeded);
  ASSERT_TRUE(commands.handle("c", handler));
  const auto invoke = [&](std::uint64_t id, const std::string& arguments) {
    auto result =
        commands.invoke(caller, {.name = "c", .arguments = JsonText{arguments}, .id = id}, Commands::Clock::now());
    return result ? Errc::system : result.error().code;
  };
  EXPECT_EQ(invoke(1, "\"0123456789\""), Errc::limit_exceeded);
  EXPECT_EQ(caller.used(Resource::calls), 0U);
  EXPECT_EQ(invoke(1, "1"), Errc::system);
  EXPECT_EQ(invoke(2, "1"), Errc::system);
  EXPECT_EQ(invoke(3, "1"), Errc::limit_exceeded);
  handler.take();
  EXPECT_EQ(caller.used(Resource::mail_bytes), 0U);
  // An answer that is too long for its caller is told as one that failed; so is a rejection.
  commands.answer(handler, handler.numbers_[0], {.result = JsonText{"\"0123456789\""}});
  commands.answer(handler, handler.numbers_[1], {.error = Error{Errc::command_failed, 0, "0123456789a"}});
  EXPECT_EQ(caller.take(), (Told{"answer 1 io.memio.LimitExceeded", "answer 2 io.memio.LimitExceeded"}));
  commands.forget(caller);
  commands.forget(handler);
}

}  // namespace
}  // namespace memio::broker

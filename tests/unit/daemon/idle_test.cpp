// SPDX-License-Identifier: MIT
#include "idle.h"

#include <gtest/gtest.h>

namespace memio::broker {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds delay{20};

TEST(Idle, IsNoticedAfterTheDelay) {
  auto loop = *EventLoop::make();
  Idle idle;
  const auto begin = Clock::now();
  ASSERT_TRUE(idle.start(loop, delay, [&] { loop.exit(0); }));
  EXPECT_EQ(*loop.run(), 0);
  EXPECT_GE(Clock::now() - begin, delay);
}

TEST(Idle, BeginsAnewWhenSomethingWasOwnedMeanwhile) {
  auto loop = *EventLoop::make();
  Idle idle;
  ASSERT_TRUE(idle.start(loop, delay, [&] { loop.exit(0); }));
  idle.set_owned(true);
  Clock::time_point given_up;
  auto timer = loop.add_timer([&] {
    idle.set_owned(false);
    given_up = Clock::now();
  });
  timer->start_timer(2 * delay);
  EXPECT_EQ(*loop.run(), 0);
  EXPECT_GE(Clock::now() - given_up, delay);
}

TEST(Idle, NobodyNeedsToKnow) {
  Idle idle;
  idle.set_owned(true);
  idle.set_owned(false);
}

}  // namespace
}  // namespace memio::broker

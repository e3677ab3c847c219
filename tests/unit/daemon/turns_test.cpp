// SPDX-License-Identifier: MIT
#include "turns.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace memio::broker {
namespace {

class TurnsTest : public testing::Test {
 protected:
  EventLoop loop_ = std::move(*EventLoop::make());
  std::unique_ptr<Turns> turns_ = std::move(*Turns::make(loop_));
  std::vector<int> log_;  // whose turn it was

  static UniqueFd make_eventfd(unsigned count) { return UniqueFd(::eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK)); }
};

TEST_F(TurnsTest, WhoIsReadyHasATurn) {
  const auto fd = make_eventfd(1);
  auto seat = turns_->join(fd.get(), [&](std::uint32_t events) {
    EXPECT_EQ(events, static_cast<std::uint32_t>(EPOLLIN));
    loop_.exit(7);
  });
  ASSERT_TRUE(seat);
  EXPECT_EQ(*loop_.run(), 7);
}

// However often one asks for another turn, another that becomes ready waits for one round at most.
TEST_F(TurnsTest, OneThatAlwaysWantsMoreKeepsNobodyWaiting) {
  const auto greedy = make_eventfd(1);
  const auto modest = make_eventfd(0);
  std::optional<Turns::Seat> seat;
  seat = std::move(*turns_->join(greedy.get(), [&](std::uint32_t) {
    log_.push_back(0);
    seat->again();
    if (log_.size() == 10) ::eventfd_write(modest.get(), 1);
    if (log_.size() > 1000) loop_.exit(1);
  }));
  auto other = turns_->join(modest.get(), [&](std::uint32_t) { loop_.exit(0); });
  ASSERT_TRUE(other);
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_LE(log_.size(), 12U);
}

TEST_F(TurnsTest, ManyHaveTurnsOneAfterTheOther) {
  constexpr int many = 300;  // more than a round takes
  constexpr int rounds = 10;
  std::vector<UniqueFd> fds;
  std::vector<Turns::Seat> seats;
  std::vector<int> count(many);
  for (int i = 0; i < many; ++i) {
    fds.push_back(make_eventfd(1));
    auto seat = turns_->join(fds.back().get(), [&, i](std::uint32_t) {
      log_.push_back(i);
      // None is ahead of any other by more than the turn that it is in.
      if (++count[static_cast<std::size_t>(i)] == rounds) loop_.exit(0);
      EXPECT_LE(*std::ranges::max_element(count) - *std::ranges::min_element(count), 2);
    });
    ASSERT_TRUE(seat);
    seats.push_back(std::move(*seat));
  }
  EXPECT_EQ(*loop_.run(), 0);
}

// Somebody who is given something to tell tells it in the same round, however many ask for more for themselves.
TEST_F(TurnsTest, OneThatIsWokenByAnotherHasItsTurnInTheSameRound) {
  const auto busy = make_eventfd(1);
  const auto told = make_eventfd(0);
  std::optional<Turns::Seat> first;
  std::optional<Turns::Seat> second;
  second = std::move(*turns_->join(told.get(), [&](std::uint32_t events) {
    EXPECT_EQ(events, 0U);
    log_.push_back(2);
  }));
  first = std::move(*turns_->join(busy.get(), [&](std::uint32_t) {
    log_.push_back(1);
    first->again();
    second->again();
    if (log_.size() > 6) loop_.exit(0);
  }));
  EXPECT_EQ(*loop_.run(), 0);
  log_.resize(6);
  EXPECT_EQ(log_, (std::vector<int>{1, 2, 1, 2, 1, 2}));
}

// The other sources of the loop have their turn between the rounds.
TEST_F(TurnsTest, TheLoopGoesOn) {
  const auto fd = make_eventfd(1);
  auto seat = turns_->join(fd.get(), [&](std::uint32_t) { log_.push_back(0); });
  const auto other = make_eventfd(1);
  auto deferred = loop_.add_deferred([&] { loop_.exit(0); });
  auto source = loop_.add_io(other.get(), EPOLLIN, [&](std::uint32_t) { deferred->run_soon(); });
  ASSERT_TRUE(source && deferred);
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_LE(log_.size(), 10U);
}

TEST_F(TurnsTest, ATimerThatIsStartedInATurnFires) {
  const auto fd = make_eventfd(1);
  auto timer = loop_.add_timer([&] { loop_.exit(0); }, std::chrono::milliseconds(1));
  ASSERT_TRUE(timer);
  auto seat = turns_->join(fd.get(), [&](std::uint32_t) {
    std::uint64_t count = 0;
    ::eventfd_read(fd.get(), &count);  // so that nothing else wakes the loop
    timer->start_timer(std::chrono::milliseconds(1));
  });
  ASSERT_TRUE(seat);
  EXPECT_EQ(*loop_.run(), 0);
}

TEST_F(TurnsTest, OneMayLeaveInItsOwnTurnAndInAnothers) {
  std::vector<UniqueFd> fds;
  std::vector<std::optional<Turns::Seat>> seats(3);
  for (std::size_t i = 0; i < seats.size(); ++i) {
    fds.push_back(make_eventfd(1));
    seats[i] = std::move(*turns_->join(fds.back().get(), [&, i, kept = std::make_shared<int>(5)](std::uint32_t) {
      log_.push_back(static_cast<int>(i));
      for (auto& seat : seats) seat.reset();
      EXPECT_EQ(*kept, 5);
      loop_.exit(0);
    }));
  }
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(log_.size(), 1U);
}

TEST_F(TurnsTest, ASleeperHasNoTurnBeforeItsTime) {
  const auto fd = make_eventfd(1);
  std::optional<Turns::Seat> seat;
  Turns::Clock::time_point begin;
  constexpr std::chrono::milliseconds time{30};
  seat = std::move(*turns_->join(fd.get(), [&](std::uint32_t) {
    log_.push_back(0);
    if (log_.size() == 1) {
      begin = Turns::Clock::now();
      seat->again();
      seat->sleep(time);
      return seat->again();
    }
    EXPECT_GE(Turns::Clock::now() - begin, time);
    loop_.exit(0);
  }));
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_EQ(log_.size(), 2U);
}

TEST_F(TurnsTest, ASleeperIsToldThatItsPeerHasHungUp) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  std::optional<Turns::Seat> seat;
  seat = std::move(*turns_->join(ours.get(), [&](std::uint32_t events) {
    EXPECT_NE(events & EPOLLHUP, 0U);
    loop_.exit(0);
  }));
  seat->sleep(std::chrono::hours(1));
  theirs.reset();
  EXPECT_EQ(*loop_.run(), 0);
}

TEST_F(TurnsTest, OneThatWantsNothingIsLeftAlone) {
  const auto fd = make_eventfd(1);
  auto seat = turns_->join(fd.get(), [&](std::uint32_t) { log_.push_back(0); });
  ASSERT_TRUE(seat);
  seat->want(0);
  const auto end = make_eventfd(1);
  int turns = 0;
  auto other = turns_->join(end.get(), [&](std::uint32_t) {
    if (++turns == 20) loop_.exit(0);
  });
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_TRUE(log_.empty());
}

}  // namespace
}  // namespace memio::broker

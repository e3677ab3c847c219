// SPDX-License-Identifier: MIT
#include "event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <csignal>
#include <stdexcept>

#include "memio/unique_fd.h"

namespace memio::broker {
namespace {

TEST(EventLoop, CallsBackWhenADescriptorIsReadable) {
  auto loop = EventLoop::make();
  UniqueFd fd(::eventfd(1, EFD_CLOEXEC));
  auto source = loop->add_io(fd.get(), EPOLLIN, [&](std::uint32_t events) {
    EXPECT_NE(events & EPOLLIN, 0U);
    loop->exit(3);
  });
  ASSERT_TRUE(source);
  EXPECT_EQ(*loop->run(), 3);
}

TEST(EventLoop, ASourceMayDestroyItselfInItsCallback) {
  auto loop = EventLoop::make();
  UniqueFd fd(::eventfd(1, EFD_CLOEXEC));
  std::optional<EventSource> source;
  source = std::move(*loop->add_io(fd.get(), EPOLLIN, [&, captured = std::make_shared<int>(3)](std::uint32_t) {
    source.reset();
    loop->exit(*captured);
  }));
  EXPECT_EQ(*loop->run(), 3);
}

TEST(EventLoop, ATimerFiresOnceAndCanBeStartedAgain) {
  auto loop = EventLoop::make();
  int fired = 0;
  std::optional<EventSource> timer;
  timer = std::move(*loop->add_timer([&] {
    if (++fired == 2) return loop->exit(0);
    timer->start_timer(std::chrono::milliseconds(0));
    timer->start_timer(std::chrono::milliseconds(0));
  }));
  timer->start_timer(std::chrono::milliseconds(0));
  EXPECT_EQ(*loop->run(), 0);
  EXPECT_EQ(fired, 2);
}

TEST(EventLoop, AnExceptionEndsTheLoopWithAFailure) {
  auto loop = EventLoop::make();
  auto timer = loop->add_timer([] { throw std::runtime_error("test"); });
  timer->start_timer(std::chrono::milliseconds(0));
  EXPECT_EQ(*loop->run(), EXIT_FAILURE);
}

TEST(EventLoop, ASignalIsAnEvent) {
  auto loop = EventLoop::make();
  auto source = loop->add_signal(SIGUSR1, [&] { loop->exit(5); });
  ASSERT_TRUE(source);
  std::raise(SIGUSR1);
  EXPECT_EQ(*loop->run(), 5);
}

}  // namespace
}  // namespace memio::broker

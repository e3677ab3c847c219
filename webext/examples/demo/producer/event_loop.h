// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::demo {

// The producer's one loop: an epoll of descriptors, and long work cut into steps.
//
// A memio::Client is one more descriptor here, which is all it takes to join any loop. Belongs to one thread.
class EventLoop {
 public:
  static Result<EventLoop> create();

  // Calls `ready` each time `fd` is readable (level-triggered). Borrows `fd`: forget it before closing it.
  Result<void> watch(int fd, std::function<void()> ready);
  void forget(int fd) noexcept;

  // Calls `step` between events until it returns false. A step takes about a millisecond, so that the telemetry behind
  // it still goes out a hundred times a second. Of several works, one is done after the other.
  void work(std::function<bool()> step);

  // Runs until stop(). Error: system.
  Result<void> run();
  void stop() noexcept { running_ = false; }

 private:
  explicit EventLoop(UniqueFd epoll) noexcept : epoll_(std::move(epoll)) {}

  UniqueFd epoll_;
  std::map<int, std::function<void()>> handlers_;
  std::deque<std::function<bool()>> works_;
  bool running_ = false;
};

// CLOCK_REALTIME in milliseconds: the clock that a page has too, as Date.now().
double wall_clock_ms() noexcept;

// A timer that makes its descriptor readable every `nanoseconds`.
Result<UniqueFd> make_interval_timer(long nanoseconds);

// Makes an eventfd or timerfd quiet again.
void drain(int fd) noexcept;

}  // namespace memio::demo

// SPDX-License-Identifier: MIT
#include "event_loop.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <span>

namespace memio::demo {

Result<EventLoop> EventLoop::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno(errno, "creating an epoll");
  return EventLoop(std::move(epoll));
}

Result<void> EventLoop::watch(int fd, std::function<void()> ready) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return fail_errno(errno, "watching a descriptor");
  handlers_[fd] = std::move(ready);
  return {};
}

void EventLoop::forget(int fd) noexcept {
  if (handlers_.erase(fd) > 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::work(std::function<bool()> step) { works_.push_back(std::move(step)); }

Result<void> EventLoop::run() {
  running_ = true;
  while (running_) {
    std::array<epoll_event, 16> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), works_.empty() ? -1 : 0);
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "waiting for events");
    }
    for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(count))) {
      // A handler may forget another one's descriptor, or its own: look it up anew and keep it alive while it runs.
      const auto found = handlers_.find(event.data.fd);
      if (found == handlers_.end()) continue;
      const std::function<void()> handler = found->second;
      handler();
    }
    if (!works_.empty() && !works_.front()()) works_.pop_front();
  }
  return {};
}

double wall_clock_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

Result<UniqueFd> make_interval_timer(long nanoseconds) {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.valid()) return fail_errno(errno, "creating a timer");
  const timespec interval{.tv_sec = 0, .tv_nsec = nanoseconds};
  const itimerspec spec{.it_interval = interval, .it_value = interval};
  if (::timerfd_settime(timer.get(), 0, &spec, nullptr) < 0) return fail_errno(errno, "starting a timer");
  return timer;
}

void drain(int fd) noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd, &count, sizeof count);
}

}  // namespace memio::demo

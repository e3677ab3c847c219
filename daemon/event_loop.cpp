// SPDX-License-Identifier: MIT
#include "event_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>

#include "log.h"

namespace memio::broker {

template <class Call>
int EventSource::guarded(sd_event_source* source, void* userdata, Call call) noexcept {
  try {
    // The callback may destroy the EventSource, and with it the last owner but this one.
    const auto callback = *static_cast<std::shared_ptr<Callback>*>(userdata);
    call(*callback);
  } catch (const std::exception& error) {
    log_error("giving up: {}", error.what());
    sd_event_exit(sd_event_source_get_event(source), EXIT_FAILURE);
  }
  return 0;
}

void EventSource::set_io_events(std::uint32_t events) noexcept { sd_event_source_set_io_events(source_.get(), events); }

void EventSource::start_timer(std::chrono::milliseconds delay) noexcept {
  int enabled = SD_EVENT_OFF;
  sd_event_source_get_enabled(source_.get(), &enabled);
  if (enabled != SD_EVENT_OFF) return;
  const auto microseconds = std::chrono::microseconds(delay).count();
  sd_event_source_set_time_relative(source_.get(), static_cast<std::uint64_t>(microseconds));
  run_soon();
}

// A steady_clock is CLOCK_MONOTONIC, as the loop's timers are.
void EventSource::set_timer(std::chrono::steady_clock::time_point time) noexcept {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  sd_event_source_set_time(source_.get(), static_cast<std::uint64_t>(microseconds));
  run_soon();
}

void EventSource::run_soon() noexcept {
  sd_event_source_set_enabled(source_.get(), SD_EVENT_ONESHOT);
  if (changed_) *changed_ = true;  // an empty one has no loop
}

namespace {

constexpr std::uint64_t own_number = 0;  // sd-event's, in the epoll

tl::unexpected<Error> event_error(int negative_errno, const char* doing) {
  return fail_errno(-negative_errno, std::string(doing));
}

}  // namespace

Result<EventLoop> EventLoop::make() {
  sd_event* event = nullptr;
  if (const int r = sd_event_new(&event); r < 0) return event_error(r, "creating the event loop");
  EventLoop loop;
  loop.event_.reset(event);
  loop.epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event own{.events = EPOLLIN, .data = {.u64 = own_number}};
  if (!loop.epoll_.valid() || ::epoll_ctl(loop.epoll_.get(), EPOLL_CTL_ADD, sd_event_get_fd(event), &own) != 0)
    return fail_errno(errno, "creating the event loop");
  return loop;
}

template <class Add>
Result<EventSource> EventLoop::add(EventSource::Callback callback, const char* doing, Add add) {
  EventSource source;
  source.callback_ = std::make_shared<EventSource::Callback>(std::move(callback));
  source.changed_ = changed_;
  auto owner = std::make_unique<std::shared_ptr<EventSource::Callback>>(source.callback_);
  sd_event_source* raw = nullptr;
  if (const int r = add(&raw, owner.get()); r < 0) return event_error(r, doing);
  source.source_.reset(raw);
  sd_event_source_set_destroy_callback(
      raw, [](void* userdata) { delete static_cast<std::shared_ptr<EventSource::Callback>*>(userdata); });
  [[maybe_unused]] auto* given = owner.release();  // to the destroy callback
  return source;
}

Result<EventSource> EventLoop::add_io(int fd, std::uint32_t events, EventSource::OnIo on_io) {
  const auto handler = [](sd_event_source* s, int, std::uint32_t revents, void* userdata) {
    return EventSource::guarded(s, userdata, [revents](EventSource::Callback& c) { c.on_io(revents); });
  };
  return add({std::move(on_io), nullptr}, "watching a file descriptor", [&](sd_event_source** raw, void* userdata) {
    return sd_event_add_io(event_.get(), raw, fd, events, handler, userdata);
  });
}

Result<EventSource> EventLoop::add_timer(EventSource::OnTime on_time, std::chrono::microseconds accuracy) {
  const auto handler = [](sd_event_source* s, std::uint64_t, void* userdata) {
    return EventSource::guarded(s, userdata, [](EventSource::Callback& c) { c.on_time(); });
  };
  auto source = add({nullptr, std::move(on_time)}, "making a timer", [&](sd_event_source** raw, void* userdata) {
    return sd_event_add_time(event_.get(), raw, CLOCK_MONOTONIC, 0, static_cast<std::uint64_t>(accuracy.count()),
                             handler, userdata);
  });
  if (source) sd_event_source_set_enabled(source->source_.get(), SD_EVENT_OFF);
  return source;
}

Result<EventSource> EventLoop::add_deferred(EventSource::OnTime on_turn) {
  const auto handler = [](sd_event_source* s, void* userdata) {
    return EventSource::guarded(s, userdata, [](EventSource::Callback& c) { c.on_time(); });
  };
  auto source = add({nullptr, std::move(on_turn)}, "deferring work", [&](sd_event_source** raw, void* userdata) {
    return sd_event_add_defer(event_.get(), raw, handler, userdata);
  });
  if (source) sd_event_source_set_enabled(source->source_.get(), SD_EVENT_OFF);
  return source;
}

Result<EventSource> EventLoop::add_signal(int signal_number, EventSource::OnTime on_signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const auto handler = [](sd_event_source* s, const signalfd_siginfo*, void* userdata) {
    return EventSource::guarded(s, userdata, [](EventSource::Callback& c) { c.on_time(); });
  };
  return add({nullptr, std::move(on_signal)}, "handling a signal", [&](sd_event_source** raw, void* userdata) {
    return sd_event_add_signal(event_.get(), raw, signal_number, handler, userdata);
  });
}

// One turn of those that are in the epoll, after waiting for them or for sd-event. Whether sd-event's descriptor is
// ready.
bool EventLoop::wait(bool at_once) noexcept {
  std::array<epoll_event, most_ready> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), at_once ? 0 : -1);
  const auto end = events.begin() + std::max(count, 0);
  const auto own = std::remove_if(events.begin(), end, [](const epoll_event& e) { return e.data.u64 == own_number; });
  try {
    if (on_ready_ && (again_ || own != events.begin())) again_ = on_ready_({events.begin(), own});
  } catch (const std::exception& error) {
    log_error("giving up: {}", error.what());
    exit(EXIT_FAILURE);
  }
  return own != end;
}

Result<int> EventLoop::run() {
  while (sd_event_get_state(event_.get()) != SD_EVENT_FINISHED) {
    *changed_ = false;  // what was changed up to now the next call looks at
    int due = sd_event_prepare(event_.get());
    if (due < 0) return event_error(due, "running the event loop");
    bool ready = wait(again_ || due > 0);
    while (!ready && due == 0 && !*changed_) ready = wait(again_);
    if (due == 0) due = sd_event_wait(event_.get(), 0);
    if (due > 0) due = sd_event_dispatch(event_.get());
    if (due < 0) return event_error(due, "running the event loop");
  }
  int code = 0;
  sd_event_get_exit_code(event_.get(), &code);
  return code;
}

}  // namespace memio::broker

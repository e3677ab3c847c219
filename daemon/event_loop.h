// SPDX-License-Identifier: MIT
#pragma once

// sd-event with owners. Callbacks are functions of C++; an exception that leaves one ends the loop with an error
// instead of unwinding through C.

#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::broker {

// One event source. Ends with the object, which may be destroyed within its own callback; the callback, and what it
// captured, lasts until it returns.
// Declare it after what its callback uses, the descriptor above all: it must be gone first.
class EventSource {
 public:
  using OnIo = std::function<void(std::uint32_t events)>;
  using OnTime = std::function<void()>;

  EventSource() noexcept = default;
  EventSource(EventSource&&) noexcept = default;
  EventSource& operator=(EventSource&&) noexcept = default;

  // Which of EPOLLIN, EPOLLOUT to wait for.
  void set_io_events(std::uint32_t events) noexcept;
  // A timer: calls back once, this long from now, unless it is waiting already.
  void start_timer(std::chrono::milliseconds delay) noexcept;
  // A timer: calls back once, at that time, whatever it was waiting for.
  void set_timer(std::chrono::steady_clock::time_point time) noexcept;
  // A deferred source: calls back once, in the loop's next turn.
  void run_soon() noexcept;

 private:
  friend class EventLoop;
  struct Callback {
    OnIo on_io;
    OnTime on_time;
  };
  struct Unref {
    void operator()(sd_event_source* source) const noexcept { sd_event_source_disable_unref(source); }
  };
  std::shared_ptr<Callback> callback_;  // shared, so that it lasts until its own call is over
  std::shared_ptr<bool> changed_;       // the loop's
  std::unique_ptr<sd_event_source, Unref> source_;

  template <class Call>
  static int guarded(sd_event_source* source, void* userdata, Call call) noexcept;
};

class EventLoop {
 public:
  static Result<EventLoop> make();

  // `fd` is borrowed and must outlive the source.
  Result<EventSource> add_io(int fd, std::uint32_t events, EventSource::OnIo on_io);
  // `accuracy`: how much later it may call back, so that timers can be due together.
  Result<EventSource> add_timer(EventSource::OnTime on_time,
                                std::chrono::microseconds accuracy = std::chrono::milliseconds(250));
  // Calls back after run_soon().
  Result<EventSource> add_deferred(EventSource::OnTime on_turn);
  // Calls back for `signal_number`, which is blocked from now on.
  Result<EventSource> add_signal(int signal_number, EventSource::OnTime on_signal);

  // For descriptors that are ready far more often than all others: an epoll that run() waits for, with sd-event's own
  // as one among what is in it. So such a one costs one wait, and not one for sd-event and another for what is in an
  // epoll within that. Whoever adds one gives it a number other than 0 (epoll_data.u64).
  [[nodiscard]] int epoll_fd() const noexcept { return epoll_.get(); }
  // Called with those of them that are ready, `most_ready` at most, and whenever it has said that it wants to be called
  // again whatever is ready. Between two calls one other source has its turn, if one is due.
  static constexpr std::size_t most_ready = 64;
  using OnReady = std::function<bool(std::span<const epoll_event> ready)>;
  void on_ready(OnReady on_ready) { on_ready_ = std::move(on_ready); }
  void call_again() noexcept { again_ = true; }

  // Runs until exit(). Error: system.
  Result<int> run();
  void exit(int code) noexcept {
    sd_event_exit(event_.get(), code);
    *changed_ = true;
  }

 private:
  struct Unref {
    void operator()(sd_event* event) const noexcept { sd_event_unref(event); }
  };
  template <class Add>
  Result<EventSource> add(EventSource::Callback callback, const char* doing, Add add);
  bool wait(bool at_once) noexcept;

  // Whether sd-event has to be asked what is due, although its descriptor may say nothing: what is not told by a
  // descriptor of its own, such as a timer that was started, it looks at only then.
  std::shared_ptr<bool> changed_ = std::make_shared<bool>(false);
  bool again_ = false;  // on_ready_ wants to be called
  OnReady on_ready_;
  UniqueFd epoll_;
  std::unique_ptr<sd_event, Unref> event_;
};

}  // namespace memio::broker

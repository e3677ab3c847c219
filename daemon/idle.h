// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>

#include "event_loop.h"

namespace memio::broker {

// Notices that nothing has been owned for a while, so that memiod need not run.
class Idle {
 public:
  // Watches from now on, when nothing is owned yet. It calls back once, after the delay or up to twice as much.
  Result<void> start(EventLoop& loop, std::chrono::milliseconds delay, std::function<void()> on_idle);
  void set_owned(bool owned) noexcept;

 private:
  void on_time();

  std::chrono::milliseconds delay_{};
  std::function<void()> on_idle_;  // none: nobody wants to know
  bool owned_ = false;
  bool used_ = false;  // since the clock was started
  EventSource timer_;
};

}  // namespace memio::broker

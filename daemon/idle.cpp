// SPDX-License-Identifier: MIT
#include "idle.h"

#include <utility>

namespace memio::broker {

Result<void> Idle::start(EventLoop& loop, std::chrono::milliseconds delay, std::function<void()> on_idle) {
  auto timer = loop.add_timer([this] { on_time(); });
  if (!timer) return fail(std::move(timer.error()));
  timer_ = std::move(*timer);
  delay_ = delay;
  on_idle_ = std::move(on_idle);
  if (!owned_) timer_.start_timer(delay_);
  return {};
}

void Idle::set_owned(bool owned) noexcept {
  owned_ = owned;
  used_ = used_ || owned;
  if (on_idle_ && !owned) timer_.start_timer(delay_);
}

void Idle::on_time() {
  if (owned_) return;
  if (std::exchange(used_, false))
    timer_.start_timer(delay_);
  else
    on_idle_();
}

}  // namespace memio::broker

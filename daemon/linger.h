// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "event_loop.h"
#include "registry.h"

namespace memio::broker {

// Removes regions of lifetime `linger` when nobody has had them open for a while.
class Linger {
 public:
  Linger(EventLoop& loop, Registry& registry, std::chrono::milliseconds delay)
      : loop_(loop), registry_(registry), delay_(delay) {}

  // The region's last handle was closed. Calling it again starts the wait anew.
  void on_unused(const std::shared_ptr<Region>& region);
  // The region has no name any more.
  void forget(const Region& region) { timers_.erase(region.generation()); }

 private:
  EventLoop& loop_;
  Registry& registry_;
  std::chrono::milliseconds delay_;
  std::map<std::uint64_t, EventSource> timers_;  // by generation
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "event_loop.h"
#include "registry.h"

namespace memio::broker {

// What happens to regions when time has passed: those of lifetime `linger` are removed when nobody has had them open
// for a while; the cells of one that came back are cleared once their owners are gone without having claimed them, and it
// is removed if it is of lifetime `session` and its creator is gone.
class Linger {
 public:
  Linger(EventLoop& loop, Registry& registry, std::chrono::milliseconds delay, std::chrono::milliseconds claims)
      : loop_(loop), registry_(registry), delay_(delay), claims_(claims) {}

  // The region's last handle was closed. Calling it again starts the wait anew.
  void on_unused(const std::shared_ptr<Region>& region);
  // The region came back, and its cells wait for their owners.
  void on_adopted(const std::shared_ptr<Region>& region);
  // The region has no name any more.
  void forget(const Region& region) { timers_.erase(region.generation()); }

 private:
  EventLoop& loop_;
  Registry& registry_;
  std::chrono::milliseconds delay_;
  std::chrono::milliseconds claims_;
  std::map<std::uint64_t, EventSource> timers_;  // to remove an unused region, by generation
  std::map<std::uint64_t, EventSource> claim_timers_;
};

}  // namespace memio::broker

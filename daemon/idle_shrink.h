// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "doorbells.h"
#include "event_loop.h"
#include "region.h"

namespace memio::broker {

// Gives the memory of stale slots back once a region that asked for it (shrinkAfter) has not been published for a
// while. A region that is idle costs nothing: only its next publish rings, and starts the clock.
class IdleShrink {
 public:
  // Told of publishes from now on.
  IdleShrink(EventLoop& loop, Doorbells& doorbells);
  IdleShrink(const IdleShrink&) = delete;
  IdleShrink& operator=(const IdleShrink&) = delete;

  // The region has come, or has no name any more.
  void add(const std::shared_ptr<Region>& region);
  void forget(const Region& region) { followed_.erase(region.generation()); }

 private:
  struct Followed {
    std::shared_ptr<Region> region;
    std::uint64_t seen = 0;   // the sequence when the clock was started
    bool in_use = false;      // the clock runs
    std::uint64_t place = 0;  // how far a shrink has come: an offset in the region, 0 if none is under way
    EventSource timer;
  };

  void on_publish(const Region& region);
  void on_time(std::uint64_t generation);
  void start_clock(Followed& followed) noexcept;

  EventLoop& loop_;
  Doorbells& doorbells_;
  std::map<std::uint64_t, Followed> followed_;  // by generation
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "doorbells.h"
#include "event_loop.h"
#include "registry.h"

namespace memio::broker {

// When regions were last published, to a second. A publish does not say when it was, so memiod has to look. It does so
// only while somebody asks, and then no more than it must: the next publish of an idle region rings, once; a busy
// region is looked at once a second until it is idle again. Publishers never pay for more than that one ring.
class PublishTimes {
 public:
  using Clock = std::chrono::system_clock;

  // Told of publishes from now on. `interval` is how often busy regions are looked at; after so long without a question
  // nothing is looked at any more.
  PublishTimes(EventLoop& loop, Doorbells& doorbells, const Registry& registry,
               std::chrono::milliseconds interval = std::chrono::seconds(1),
               std::chrono::milliseconds patience = std::chrono::minutes(5));
  PublishTimes(const PublishTimes&) = delete;
  PublishTimes& operator=(const PublishTimes&) = delete;

  // Somebody is going to ask, and may ask again.
  void ask();
  // Nothing if it has not been published since somebody first asked.
  [[nodiscard]] std::optional<Clock::time_point> of(const Region& region) const;

  // The region has come, or has no name any more.
  void add(const std::shared_ptr<Region>& region);
  void forget(const Region& region) { followed_.erase(region.generation()); }

 private:
  struct Followed {
    std::shared_ptr<Region> region;
    std::uint64_t seen = 0;
    std::optional<Clock::time_point> published;
    bool busy = false;  // looked at once in a while; else its next publish rings
  };

  void follow(const std::shared_ptr<Region>& region);
  void on_publish(const Region& region);
  void look();

  Doorbells& doorbells_;
  const Registry& registry_;
  std::chrono::milliseconds interval_;
  std::chrono::milliseconds patience_;
  std::chrono::steady_clock::time_point asked_;
  bool following_ = false;
  std::map<std::uint64_t, Followed> followed_;  // by generation
  EventSource timer_;
};

}  // namespace memio::broker

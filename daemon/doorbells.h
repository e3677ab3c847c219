// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "event_loop.h"
#include "region.h"

namespace memio::broker {

// Learns of publishes. memiod has one cell in a region's lease table and so can be armed for one sequence at a time:
// all its listening goes through here. Nobody's publishes ring while nobody listens.
class Doorbells {
 public:
  using OnPublish = std::function<void(const std::shared_ptr<Region>&)>;

  explicit Doorbells(EventLoop& loop) : loop_(loop) {}

  // Called after publishes, once for any number that came together. Each is told of all regions that anybody listens
  // to.
  void on_publish(OnPublish on_publish) { on_publish_.push_back(std::move(on_publish)); }

  // Tells of a region's publishes from now on until stop().
  void listen(const std::shared_ptr<Region>& region);
  // Tells of the next publish alone, which then is the only one that has to ring.
  void listen_once(const std::shared_ptr<Region>& region);
  // Takes listen() back.
  void stop(const std::shared_ptr<Region>& region);
  // The region has no name any more; nobody wants to know of it.
  void forget(const std::shared_ptr<Region>& region);

 private:
  struct Listened {
    std::shared_ptr<Region> region;
    std::uint64_t seen = 0;
    bool always = false;
    bool once = false;
    EventSource source;  // last: gone before the region, and with it the doorbell, may be
  };

  // Null if the doorbell cannot be listened to.
  Listened* listened(const std::shared_ptr<Region>& region);
  void look(std::uint64_t generation);

  EventLoop& loop_;
  std::vector<OnPublish> on_publish_;
  std::map<std::uint64_t, Listened> listened_;  // by generation
};

}  // namespace memio::broker

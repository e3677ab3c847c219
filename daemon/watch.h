// SPDX-License-Identifier: MIT
#pragma once

// Telling sessions what happens to regions. A watch keeps, per region, at most one thing to be told about its existence
// and one about its publishes; a slow session therefore gets the newest state, and its queue is bounded by the number
// of regions.

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "doorbells.h"
#include "registry.h"

namespace memio::broker {

using protocol::EventKind;

class Watch {
 public:
  // Whether the watching session may know of the region, and whether it takes another event now; wake() asks it to have
  // flush() called soon.
  struct Owner {
    std::function<bool(const std::string& name)> may_watch;
    std::function<bool()> can_send;
    std::function<void(const protocol::WatchReply&)> send;
    std::function<void()> wake;
  };

  Watch(Owner owner, std::optional<std::string> pattern, bool versions, Charge charge = {})
      : owner_(std::move(owner)), pattern_(std::move(pattern)), versions_(versions), charge_(std::move(charge)) {}

  // Queues what there is, and `ready`; hands each region of which it wants version events to `listen`.
  void start(const Registry& registry, const std::function<void(const std::shared_ptr<Region>&)>& listen);
  void note(const std::shared_ptr<Region>& region, EventKind kind);
  [[nodiscard]] std::size_t pending() const noexcept { return items_.size(); }
  void wake() const { owner_.wake(); }
  // Sends what is queued, as long as the session takes more, and at most so much. Returns how much that was.
  int flush(int most);
  // Whether version events of this region are wanted.
  [[nodiscard]] bool wants_versions(const std::string& name) const;

 private:
  struct Item {
    EventKind kind;
    std::shared_ptr<Region> region;  // null for `ready`
  };
  using Items = std::list<Item>;
  struct Queued {  // of one region
    std::optional<Items::iterator> existence;
    std::optional<Items::iterator> version;
  };

  [[nodiscard]] bool matches_name(const std::string& name) const;
  void enqueue(std::optional<Items::iterator>& place, EventKind kind, const std::shared_ptr<Region>& region);
  void forget(std::optional<Items::iterator>& place);
  void note_removed(Queued& queued, const std::shared_ptr<Region>& region);

  Owner owner_;
  std::optional<std::string> pattern_;
  bool versions_;
  Charge charge_;
  Items items_;
  std::map<std::uint64_t, Queued> queued_;  // by generation
};

// All watches, and what they make memiod listen to.
class WatchHub {
 public:
  // Told of publishes from now on.
  WatchHub(Doorbells& doorbells, Registry& registry);
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // Tells the watch what there is. It must be removed before it is destroyed.
  void add(Watch& watch);
  // Regions that nobody else watches are listened to until they are published once more: a session that ends with
  // thousands of watches costs no look at each of thousands of regions for each of them.
  void remove(Watch& watch) { watches_.erase(&watch); }
  [[nodiscard]] std::size_t count() const noexcept { return watches_.size(); }
  // A region has come or gone.
  void on_registry_change(const std::shared_ptr<Region>& region, Registry::Change change);

 private:
  void on_publish(const std::shared_ptr<Region>& region);

  Doorbells& doorbells_;
  Registry& registry_;
  std::set<Watch*> watches_;
};

}  // namespace memio::broker

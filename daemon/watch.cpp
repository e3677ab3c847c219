// SPDX-License-Identifier: MIT
#include "watch.h"

#include <algorithm>

#include "memio/region_name.h"

namespace memio::broker {

bool Watch::matches_name(const std::string& name) const {
  return (!pattern_ || matches(*pattern_, name)) && owner_.may_watch(name);
}

bool Watch::wants_versions(const std::string& name) const { return versions_ && matches_name(name); }

void Watch::start(const Registry& registry, const std::function<void(const std::shared_ptr<Region>&)>& listen) {
  for (const auto& [name, region] : registry.regions()) {
    if (!matches_name(name)) continue;
    enqueue(queued_[region->generation()].existence, EventKind::present, region);
    if (versions_) listen(region);
  }
  items_.push_back({EventKind::ready, nullptr});
}

void Watch::enqueue(std::optional<Items::iterator>& place, EventKind kind, const std::shared_ptr<Region>& region) {
  items_.push_back({kind, region});
  place = std::prev(items_.end());
}

void Watch::forget(std::optional<Items::iterator>& place) {
  if (place) items_.erase(*place);
  place.reset();
}

void Watch::note(const std::shared_ptr<Region>& region, EventKind kind) {
  if (!matches_name(region->name())) return;
  Queued& queued = queued_[region->generation()];
  if (kind == EventKind::removed)
    note_removed(queued, region);
  else if (kind == EventKind::version && !queued.version)
    enqueue(queued.version, kind, region);
  else if (kind == EventKind::created)
    enqueue(queued.existence, kind, region);
  if (!queued.existence && !queued.version) queued_.erase(region->generation());
}

void Watch::note_removed(Queued& queued, const std::shared_ptr<Region>& region) {
  forget(queued.version);
  if (queued.existence)
    forget(queued.existence);  // the session never knew of it
  else
    enqueue(queued.existence, EventKind::removed, region);
}

int Watch::flush(int most) {
  int told = 0;
  for (; told < most && !items_.empty() && owner_.can_send(); ++told) {
    const Item item = items_.front();
    items_.pop_front();
    protocol::WatchReply event{.event = item.kind};
    if (item.region) {
      auto& queued = queued_[item.region->generation()];
      (item.kind == EventKind::version ? queued.version : queued.existence).reset();
      if (!queued.existence && !queued.version) queued_.erase(item.region->generation());
      event.region = item.region->info();
      if (item.kind == EventKind::version) {
        const auto latest = item.region->latest();
        event.region->sequence = latest.sequence;
        event.version = latest.version;
      }
    }
    owner_.send(event);
  }
  return told;
}

WatchHub::WatchHub(Doorbells& doorbells, Registry& registry) : doorbells_(doorbells), registry_(registry) {
  doorbells_.on_publish([this](const std::shared_ptr<Region>& region) { on_publish(region); });
}

void WatchHub::add(Watch& watch) {
  watches_.insert(&watch);
  watch.start(registry_, [this](const std::shared_ptr<Region>& region) { doorbells_.listen(region); });
}

void WatchHub::on_registry_change(const std::shared_ptr<Region>& region, Registry::Change change) {
  const bool created = change == Registry::Change::created;
  for (Watch* watch : watches_) {
    if (created && watch->wants_versions(region->name())) doorbells_.listen(region);
    watch->note(region, created ? EventKind::created : EventKind::removed);
    if (watch->pending() > 0) watch->wake();
  }
}

// Watches are told in turns of their own: with thousands of them on a busy region nobody else is to wait for all.
void WatchHub::on_publish(const std::shared_ptr<Region>& region) {
  bool wanted = false;
  for (Watch* watch : watches_) {
    if (!watch->wants_versions(region->name())) continue;
    wanted = true;
    watch->note(region, EventKind::version);
    watch->wake();
  }
  if (!wanted) doorbells_.stop(region);
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "watch.h"

#include <sys/epoll.h>

#include <algorithm>

#include "log.h"
#include "memio/region_name.h"

namespace memio::broker {

bool Watch::matches_name(const std::string& name) const {
  return owner_.may_watch(name) && (!pattern_ || matches(*pattern_, name));
}

bool Watch::wants_versions(const std::string& name) const { return versions_ && matches_name(name); }

void Watch::start(const Registry& registry) {
  for (const auto& [name, region] : registry.regions())
    if (matches_name(name)) enqueue(queued_[region->generation()].existence, EventKind::present, region);
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

void Watch::flush() {
  while (!items_.empty() && owner_.can_send()) {
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
}

void WatchHub::add(Watch& watch) {
  watches_.push_back(&watch);
  watch.start(registry_);
  for (const auto& [name, region] : registry_.regions())
    if (watch.wants_versions(name)) update_listening(region);
  watch.flush();
}

void WatchHub::remove(Watch& watch) {
  std::erase(watches_, &watch);
  std::vector<std::shared_ptr<Region>> regions;
  for (const auto& [generation, listened] : listened_) regions.push_back(listened.region);
  for (const auto& region : regions) update_listening(region);
}

bool WatchHub::anyone_wants_versions(const std::string& name) const {
  return std::ranges::any_of(watches_, [&](const Watch* watch) { return watch->wants_versions(name); });
}

void WatchHub::on_registry_change(const std::shared_ptr<Region>& region, Registry::Change change) {
  if (change == Registry::Change::created) update_listening(region);
  if (change == Registry::Change::removed) listened_.erase(region->generation());
  for (Watch* watch : watches_) {
    watch->note(region, change == Registry::Change::created ? EventKind::created : EventKind::removed);
    watch->flush();
  }
}

void WatchHub::update_listening(const std::shared_ptr<Region>& region) {
  const auto generation = region->generation();
  if (!anyone_wants_versions(region->name())) {
    listened_.erase(generation);
    region->disarm();
    return;
  }
  if (listened_.contains(generation)) return;
  // By edge: nobody ever reads a doorbell.
  auto source = loop_.add_io(region->doorbell(), EPOLLIN | EPOLLET,
                             [this, generation](std::uint32_t) { on_doorbell(generation); });
  if (!source) {
    log_warning("cannot tell of publishes of {}: {}", region->name(), source.error().text());
    return;
  }
  listened_.emplace(generation, Listened{region, region->sequence(), std::move(*source)});
  on_doorbell(generation);
}

void WatchHub::on_doorbell(std::uint64_t generation) {
  const auto found = listened_.find(generation);
  if (found == listened_.end()) return;
  Listened& listened = found->second;
  // A writer in a hurry could keep this look from ever ending, so it is given up after some tries; the ring that
  // was missed with it is made good by ringing ourselves.
  constexpr int tries = 16;
  bool armed = false;
  const auto before = listened.seen;
  for (int i = 0; i < tries && !armed; ++i) {
    listened.seen = listened.region->sequence();
    armed = listened.region->arm(listened.seen);
  }
  if (!armed) listened.region->ring();
  if (listened.seen == before) return;
  const auto region = listened.region;
  for (Watch* watch : watches_) {
    if (!watch->wants_versions(region->name())) continue;
    watch->note(region, EventKind::version);
    watch->flush();
  }
}

}  // namespace memio::broker

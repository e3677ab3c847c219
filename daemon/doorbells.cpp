// SPDX-License-Identifier: MIT
#include "doorbells.h"

#include <sys/epoll.h>

#include "log.h"

namespace memio::broker {

void Doorbells::listen(const std::shared_ptr<Region>& region) {
  Listened* entry = listened(region);
  if (!entry || entry->always) return;
  entry->always = true;
  look(region->generation());
}

void Doorbells::listen_once(const std::shared_ptr<Region>& region) {
  Listened* entry = listened(region);
  if (!entry || entry->once) return;
  entry->once = true;
  look(region->generation());
}

void Doorbells::stop(const std::shared_ptr<Region>& region) {
  const auto found = listened_.find(region->generation());
  if (found == listened_.end()) return;
  found->second.always = false;
  if (!found->second.once) forget(region);
}

void Doorbells::forget(const std::shared_ptr<Region>& region) {
  if (listened_.erase(region->generation()) != 0) region->disarm();
}

Doorbells::Listened* Doorbells::listened(const std::shared_ptr<Region>& region) {
  const auto generation = region->generation();
  if (const auto found = listened_.find(generation); found != listened_.end()) return &found->second;
  // By edge: nobody ever reads a doorbell.
  auto source =
      loop_.add_io(region->doorbell(), EPOLLIN | EPOLLET, [this, generation](std::uint32_t) { look(generation); });
  if (!source) {
    log_event(Event::region_degraded, {.region = region->name()},
              "cannot learn of publishes of " + region->name() + ": " + source.error().text());
    return nullptr;
  }
  return &listened_
              .emplace(generation, Listened{.region = region, .seen = region->sequence(), .source = std::move(*source)})
              .first->second;
}

void Doorbells::look(std::uint64_t generation) {
  const auto found = listened_.find(generation);
  if (found == listened_.end()) return;
  Listened& entry = found->second;
  // A writer in a hurry could keep this look from ever ending, so it is given up after some tries; the ring that
  // was missed with it is made good by ringing ourselves.
  constexpr int tries = 16;
  bool armed = false;
  const auto before = entry.seen;
  for (int i = 0; i < tries && !armed; ++i) {
    entry.seen = entry.region->sequence();
    if (entry.seen != before && !entry.always) break;  // it was listened to for this one alone
    armed = entry.region->arm(entry.seen);
  }
  if (entry.seen == before) return;
  if (entry.always && !armed) entry.region->ring();
  entry.once = false;
  const auto region = entry.region;
  if (!entry.always) forget(region);
  for (const auto& tell : on_publish_) tell(region);
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "linger.h"

#include <algorithm>

#include "log.h"

namespace memio::broker {

void Linger::on_unused(const std::shared_ptr<Region>& region) {
  if (region->lifetime() != protocol::Lifetime::linger || registry_.find(region->name()) != region) return;
  auto timer = loop_.add_timer([this, region] {
    // Either way ends this timer; what it captured lasts until it returns.
    if (region->handles() == 0)
      registry_.remove(region);
    else
      timers_.erase(region->generation());
  });
  if (!timer)
    return log_event(Event::region_degraded, {.region = region->name()},
                     region->name() + " will not go away by itself: " + timer.error().text());
  // One that came back may have waited for a while before.
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(region->unused_for());
  timer->start_timer(std::max(delay_ - waited, std::chrono::milliseconds(0)));
  timers_.insert_or_assign(region->generation(), std::move(*timer));
}

void Linger::on_adopted(const std::shared_ptr<Region>& region) {
  if (!region->has_unclaimed() && !region->orphaned()) return on_unused(region);
  auto timer = loop_.add_timer([this, region] {
    region->clear_abandoned();
    if (region->orphaned() && !region->creator_may_come()) registry_.remove(region);
    if (region->has_unclaimed()) return claim_timers_.at(region->generation()).start_timer(claims_);
    if (region->handles() == 0) on_unused(region);
    claim_timers_.erase(region->generation());
  });
  if (!timer)
    return log_event(Event::region_degraded, {.region = region->name()},
                     "dead handles of " + region->name() + " stay: " + timer.error().text());
  timer->start_timer(claims_);
  claim_timers_.insert_or_assign(region->generation(), std::move(*timer));
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "linger.h"

#include "log.h"

namespace memio::broker {

void Linger::on_unused(const std::shared_ptr<Region>& region) {
  const bool goes = region->lifetime() == protocol::Lifetime::linger || region->orphaned();
  if (!goes || registry_.find(region->name()) != region) return;
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
  timer->start_timer(delay_);
  timers_.insert_or_assign(region->generation(), std::move(*timer));
}

void Linger::on_adopted(const std::shared_ptr<Region>& region) {
  auto timer = loop_.add_timer([this, region] {
    region->clear_unclaimed();
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

// SPDX-License-Identifier: MIT
#include "linger.h"

#include "log.h"

namespace memio::broker {

void Linger::on_unused(const std::shared_ptr<Region>& region) {
  const bool goes = region->lifetime() == protocol::Lifetime::linger || region->orphaned();
  if (!goes || registry_.find(region->name()) != region) return;
  auto timer = loop_.add_timer([this, region] {
    const auto gone = region;  // removing it ends this timer and, with it, this function's captures
    if (gone->handles() == 0)
      registry_.remove(gone);
    else
      timers_.erase(gone->generation());
  });
  if (!timer) return log_warning("{} will not go away by itself: {}", region->name(), timer.error().text());
  timer->start_timer(delay_);
  timers_.insert_or_assign(region->generation(), std::move(*timer));
}

void Linger::on_adopted(const std::shared_ptr<Region>& region) {
  auto timer = loop_.add_timer([this, region] {
    const auto adopted = region;  // erasing the timer ends this function's captures
    adopted->clear_unclaimed();
    if (adopted->handles() == 0) on_unused(adopted);
    claim_timers_.erase(adopted->generation());
  });
  if (!timer) return log_warning("dead handles of {} stay: {}", region->name(), timer.error().text());
  timer->start_timer(claims_);
  claim_timers_.insert_or_assign(region->generation(), std::move(*timer));
}

}  // namespace memio::broker

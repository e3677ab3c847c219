// SPDX-License-Identifier: MIT
#include "idle_shrink.h"

#include "log.h"

namespace memio::broker {

IdleShrink::IdleShrink(EventLoop& loop, Doorbells& doorbells) : loop_(loop), doorbells_(doorbells) {
  doorbells_.on_publish([this](const std::shared_ptr<Region>& region) { on_publish(*region); });
}

void IdleShrink::add(const std::shared_ptr<Region>& region) {
  if (!region->shrink_after()) return;
  const auto generation = region->generation();
  auto timer = loop_.add_timer([this, generation] { on_time(generation); });
  if (!timer)
    return log_event(Event::region_degraded, {.region = region->name()},
                     region->name() + " will not be shrunk: " + timer.error().text());
  auto& followed = followed_[generation];
  followed = {.region = region, .timer = std::move(*timer)};
  // One that was taken over may have been published long ago.
  start_clock(followed);
}

void IdleShrink::on_publish(const Region& region) {
  const auto found = followed_.find(region.generation());
  if (found != followed_.end() && !found->second.in_use) start_clock(found->second);
}

void IdleShrink::start_clock(Followed& followed) noexcept {
  followed.in_use = true;
  followed.place = 0;
  followed.seen = followed.region->sequence();
  followed.timer.start_timer(*followed.region->shrink_after());
}

void IdleShrink::on_time(std::uint64_t generation) {
  const auto found = followed_.find(generation);
  if (found == followed_.end()) return;
  Followed& followed = found->second;
  Region& region = *followed.region;
  if (region.sequence() != followed.seen) return start_clock(followed);
  auto step = region.shrink_step(followed.place);
  if (!step) {
    log_event(Event::region_degraded, {.region = region.name()},
              region.name() + " will not be shrunk: " + step.error().text());
    followed_.erase(found);
  } else if (step->later) {
    start_clock(followed);
  } else if (step->next < region.geometry().directory_offset()) {
    // The rest is for later turns of the loop, so that nobody waits long for memiod.
    followed.place = step->next;
    followed.timer.start_timer({});
  } else {
    followed.in_use = false;
    doorbells_.listen_once(followed.region);
  }
}

}  // namespace memio::broker

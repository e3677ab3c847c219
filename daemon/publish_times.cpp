// SPDX-License-Identifier: MIT
#include "publish_times.h"

namespace memio::broker {

PublishTimes::PublishTimes(EventLoop& loop, Doorbells& doorbells, const Registry& registry,
                           std::chrono::milliseconds interval, std::chrono::milliseconds patience)
    : doorbells_(doorbells), registry_(registry), interval_(interval), patience_(patience) {
  doorbells_.on_publish([this](const std::shared_ptr<Region>& region) { on_publish(*region); });
  if (auto timer = loop.add_timer([this] { look(); }, std::chrono::milliseconds(1))) timer_ = std::move(*timer);
}

void PublishTimes::ask() {
  asked_ = std::chrono::steady_clock::now();
  if (following_) return;
  following_ = true;
  for (const auto& [name, region] : registry_.regions()) follow(region);
  timer_.start_timer(interval_);
}

std::optional<PublishTimes::Clock::time_point> PublishTimes::of(const Region& region) const {
  const auto found = followed_.find(region.generation());
  if (found == followed_.end()) return std::nullopt;
  const auto& followed = found->second;
  return followed.seen == region.sequence() ? followed.published : Clock::now();
}

void PublishTimes::add(const std::shared_ptr<Region>& region) {
  if (following_) follow(region);
}

void PublishTimes::follow(const std::shared_ptr<Region>& region) {
  auto& followed = followed_[region->generation()];
  const auto sequence = region->sequence();
  // It may have been published while nobody looked.
  if (followed.seen != sequence) followed.published.reset();
  followed = {.region = region, .seen = sequence, .published = followed.published};
  doorbells_.listen_once(region);
}

void PublishTimes::on_publish(const Region& region) {
  const auto found = followed_.find(region.generation());
  if (found == followed_.end()) return;
  auto& followed = found->second;
  followed.seen = region.sequence();
  followed.published = Clock::now();
  followed.busy = true;
}

void PublishTimes::look() {
  following_ = std::chrono::steady_clock::now() - asked_ < patience_;
  for (auto& [generation, followed] : followed_) {
    if (!followed.busy) continue;
    const auto sequence = followed.region->sequence();
    if (sequence == followed.seen) {
      followed.busy = false;
      if (following_) doorbells_.listen_once(followed.region);
      continue;
    }
    followed.seen = sequence;
    followed.published = Clock::now();
  }
  if (following_) timer_.start_timer(interval_);
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "registry.h"

#include "memio/region_name.h"

namespace memio::broker {

namespace {

constexpr std::uint64_t default_slots = 4;

}  // namespace

Result<std::shared_ptr<Region>> Registry::create(const protocol::CreateParameters& parameters) {
  if (auto checked = check_name(parameters.name); !checked) return fail(std::move(checked.error()));
  if (regions_.contains(parameters.name))
    return fail(Errc::region_exists, "there is a region " + parameters.name + " already; open it, or remove it first");
  if (regions_.size() >= limits_.regions)
    return fail(Errc::limit_exceeded, "memiod has all the " + std::to_string(limits_.regions) +
                                          " regions that it may have; remove some");
  auto geometry = Geometry::make(parameters.layout.value_or(protocol::Layout::memio64),
                                 parameters.slots.value_or(default_slots), parameters.capacity);
  if (!geometry) return fail(std::move(geometry.error()));
  if (geometry->total_size() > limits_.region_bytes)
    return fail(Errc::invalid_capacity, std::to_string(geometry->slots) + " slots of " +
                                            std::to_string(geometry->capacity) + " bytes are more than the " +
                                            std::to_string(limits_.region_bytes) + " bytes that a region may have");
  auto region = Region::create({.name = parameters.name,
                                .geometry = *geometry,
                                .lifetime = parameters.lifetime.value_or(protocol::Lifetime::session),
                                .generation = ++last_generation_,
                                .cells = limits_.handles_per_region + 1,
                                .exclusive = parameters.exclusive.value_or(false)});
  if (!region) return region;
  regions_.emplace(parameters.name, *region);
  if (on_change_) on_change_(*region, Change::created);
  return region;
}

std::shared_ptr<Region> Registry::find(std::string_view name) const {
  const auto found = regions_.find(name);
  return found == regions_.end() ? nullptr : found->second;
}

void Registry::remove(const std::shared_ptr<Region>& region) {
  const auto found = regions_.find(region->name());
  if (found == regions_.end() || found->second != region) return;
  regions_.erase(found);
  if (on_change_) on_change_(region, Change::removed);
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "registry.h"

#include <sys/stat.h>

#include <algorithm>

#include "memio/region_name.h"

namespace memio::broker {

namespace {

constexpr std::uint64_t default_slots = 4;

using ShrinkAfter = std::optional<std::chrono::milliseconds>;

Result<ShrinkAfter> read_shrink_after(const std::optional<std::uint64_t>& milliseconds, bool exclusive,
                                      std::uint64_t slots) {
  constexpr std::uint64_t least = 10;
  constexpr std::uint64_t most = 7UL * 24 * 3600 * 1000;
  if (!milliseconds) return ShrinkAfter();
  if (*milliseconds < least || *milliseconds > most)
    return fail(Errc::invalid_shrink_after, "shrinkAfter is " + std::to_string(least) + " to " + std::to_string(most) +
                                                " milliseconds, not " + std::to_string(*milliseconds));
  if (exclusive)
    return fail(Errc::invalid_shrink_after,
                "shrinkAfter is not for exclusive regions: the seal against writing keeps their memory");
  if (slots < 3)
    return fail(Errc::invalid_shrink_after,
                "shrinkAfter is for regions of three slots or more, so that writers have one while memiod shrinks "
                "another");
  return ShrinkAfter(*milliseconds);
}

// What a region of that size costs.
Result<Region::Cost> charge(Account& payer, const Geometry& geometry) {
  auto region = payer.charge(Resource::regions);
  if (!region) return fail(std::move(region.error()));
  auto bytes = payer.charge(Resource::bytes, geometry.total_size());
  if (!bytes) return fail(std::move(bytes.error()));
  return Region::Cost{std::move(*region), std::move(*bytes)};
}

}  // namespace

Result<void> Registry::check_name_is_free(const std::string& name) const {
  if (auto checked = check_name(name); !checked) return fail(std::move(checked.error()));
  if (regions_.contains(name))
    return fail(Errc::region_exists, "there is a region " + name + " already; open it, or remove it first");
  return {};
}

Result<void> Registry::check_size(const Result<Geometry>& geometry) const {
  if (!geometry) return fail(geometry.error());
  if (geometry->total_size() > limits_.region_bytes)
    return fail(Errc::invalid_capacity, std::to_string(geometry->slots) + " slots of " +
                                            std::to_string(geometry->capacity) + " bytes are more than the " +
                                            std::to_string(limits_.region_bytes) +
                                            " bytes that a region may have (limits.regionBytes in memiod.conf)");
  return {};
}

void Registry::add(const std::shared_ptr<Region>& region) {
  regions_.emplace(region->name(), region);
  note_memory(region);
  if (on_change_) on_change_(region, Change::created);
}

Result<std::shared_ptr<Region>> Registry::create(const protocol::CreateParameters& parameters, Account& payer) {
  const auto geometry =
      Geometry::make(parameters.layout.value_or(protocol::Layout::memio64), parameters.slots.value_or(default_slots),
                     parameters.capacity, parameters.huge_pages.value_or(false));
  if (auto checked = check_name_is_free(parameters.name); !checked) return fail(std::move(checked.error()));
  if (auto checked = check_size(geometry); !checked) return fail(std::move(checked.error()));
  const bool exclusive = parameters.exclusive.value_or(false);
  const auto shrink_after = read_shrink_after(parameters.shrink_after, exclusive, geometry->slots);
  if (!shrink_after) return fail(shrink_after.error());
  auto cost = charge(payer, *geometry);
  if (!cost) return fail(std::move(cost.error()));
  auto region = Region::create({.name = parameters.name,
                                .geometry = *geometry,
                                .lifetime = parameters.lifetime.value_or(protocol::Lifetime::session),
                                .generation = ++last_generation_,
                                .cells = static_cast<std::uint32_t>(limits_.handles_per_region + 1),
                                .exclusive = exclusive,
                                .shrink_after = *shrink_after});
  if (!region) return region;
  (*region)->set_cost(payer.uid(), std::move(*cost));
  add(*region);
  return region;
}

Result<std::shared_ptr<Region>> Registry::adopt(const protocol::AttachParameters& parameters, Region::Fds fds,
                                                Account& payer, const Claim& claim) {
  const auto geometry = Geometry::make(parameters.layout, parameters.slots, parameters.capacity, parameters.huge_pages);
  if (auto checked = check_size(geometry); !checked) return fail(std::move(checked.error()));
  const auto shrink_after = read_shrink_after(parameters.shrink_after, parameters.exclusive, geometry->slots);
  if (!shrink_after) return fail(shrink_after.error());
  if (parameters.cells < 2 || parameters.cells > format::max_cells)
    return fail(Errc::not_the_region, "a lease table has 2 to " + std::to_string(format::max_cells) + " cells, not " +
                                          std::to_string(parameters.cells));
  if (find_by_memory(fds.region.get()))
    return fail(Errc::not_the_region, "the memory shown is another region's, or with another lease table");
  auto cost = charge(payer, *geometry);
  if (!cost) return fail(std::move(cost.error()));
  auto region = Region::adopt({.name = parameters.name,
                               .geometry = *geometry,
                               .lifetime = parameters.lifetime,
                               .cells = static_cast<std::uint32_t>(parameters.cells),
                               .exclusive = parameters.exclusive,
                               .shrink_after = *shrink_after},
                              std::move(fds));
  if (!region) return region;
  const auto noted = (*region)->noted();
  if (!noted.removed)
    if (auto checked = check_name_is_free(parameters.name); !checked) return fail(std::move(checked.error()));
  if (auto claimed = claim(*region); !claimed) return fail(std::move(claimed.error()));
  (*region)->set_generation(may_be_given_back(noted.generation) ? noted.generation : ++last_generation_);
  (*region)->set_cost(payer.uid(), std::move(*cost));
  (*region)->set_orphaned(parameters.lifetime == protocol::Lifetime::session);
  add_back(*region, noted.removed);
  return region;
}

// Those of regions made by this memiod are higher than those of earlier ones.
bool Registry::may_be_given_back(std::uint64_t generation) const {
  if (generation == 0 || generation > first_generation_) return false;
  const auto has_it = [&](const auto& region) { return region && region->generation() == generation; };
  return std::ranges::none_of(regions_, has_it, [](const auto& named) { return named.second; }) &&
         std::ranges::none_of(removed_, has_it, [](const auto& weak) { return weak.lock(); });
}

void Registry::add_back(const std::shared_ptr<Region>& region, bool removed) {
  if (!removed) return add(region);
  std::erase_if(removed_, [](const auto& weak) { return weak.expired(); });
  removed_.push_back(region);
  note_memory(region);
}

void Registry::note_memory(const std::shared_ptr<Region>& region) {
  by_inode_.insert_or_assign(region->memory_file().inode, region);
  if (by_inode_.size() < sweep_at_) return;
  std::erase_if(by_inode_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max<std::size_t>(sweep_at_, 2 * by_inode_.size());
}

std::shared_ptr<Region> Registry::find_by_memory(int fd) const {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return nullptr;
  const auto found = by_inode_.find(status.st_ino);
  const auto region = found == by_inode_.end() ? nullptr : found->second.lock();
  return region && region->memory_file() == Region::File{status.st_dev, status.st_ino} ? region : nullptr;
}

Result<std::shared_ptr<Region>> Registry::restore(const RegionRecord& record, Region::Fds fds, Account& payer,
                                                  const std::function<void(Region&)>& before_added) {
  const auto& name = record.spec.name;
  if (auto checked = check_name(name); !checked) return fail(std::move(checked.error()));
  if (!record.nameless && regions_.contains(name)) return fail(Errc::region_exists, "there are two regions " + name);
  auto region = Region::adopt(record.spec, std::move(fds), record.taken);
  if (!region) return region;
  (*region)->set_cost(payer.uid(), {payer.charge_anyway(Resource::regions, 1),
                                    payer.charge_anyway(Resource::bytes, record.spec.geometry.total_size())});
  (*region)->set_orphaned(record.spec.lifetime == protocol::Lifetime::session);
  (*region)->set_creator_cell(record.creator_cell);
  (*region)->set_unused_since(record.unused_since);
  start_after(record.spec.generation);
  before_added(**region);
  add_back(*region, record.nameless);
  return region;
}

std::shared_ptr<Region> Registry::find_same(const std::string& name, const Region::Fds& fds) const {
  auto region = find_by_memory(fds.region.get());
  return region && region->name() == name && region->is_same_memory(fds) ? region : nullptr;
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

// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "broker_limits.h"
#include "region.h"

namespace memio::broker {

// The regions that have a name. A region that was removed lives on, nameless, as long as a handle of it is open.
class Registry {
 public:
  enum class Change : std::uint8_t { created, removed };
  using OnChange = std::function<void(const std::shared_ptr<Region>&, Change)>;

  explicit Registry(const Limits& limits) : limits_(limits) {}

  // Makes a region under a free name. Errors: invalid_name, invalid_capacity, invalid_slots, invalid_shrink_after,
  // region_exists, limit_exceeded, out_of_resources. `payer` is charged for it until its memory is gone.
  Result<std::shared_ptr<Region>> create(const protocol::CreateParameters& parameters, Account& payer);
  // Takes over a region that an earlier memiod made, from a client that has it open. Errors: as create(), and
  // not_the_region.
  Result<std::shared_ptr<Region>> adopt(const protocol::AttachParameters& parameters, Region::Fds fds, Account& payer);
  // The region of that name, or null.
  [[nodiscard]] std::shared_ptr<Region> find(std::string_view name) const;
  void remove(const std::shared_ptr<Region>& region);

  // In the order of their names.
  [[nodiscard]] const auto& regions() const noexcept { return regions_; }

  // Called after each change. One listener.
  void on_change(OnChange on_change) { on_change_ = std::move(on_change); }

 private:
  // What keeps a region of that name and size from being added, if anything.
  Result<void> check_new(const std::string& name, const Result<Geometry>& geometry) const;
  void add(const std::shared_ptr<Region>& region);

  const Limits& limits_;
  std::map<std::string, std::shared_ptr<Region>, std::less<>> regions_;
  std::uint64_t last_generation_ = 0;
  OnChange on_change_;
};

}  // namespace memio::broker

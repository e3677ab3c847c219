// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "broker_limits.h"
#include "ledger.h"
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
  // Takes over a region that an earlier memiod made, from a client that has it open. It has its name again, unless it
  // had lost that. `claim` claims the client's handle before anybody else can know of the region. Errors: as create(),
  // not_the_region, and those of `claim`; then nothing was done.
  using Claim = std::function<Result<void>(const std::shared_ptr<Region>&)>;
  Result<std::shared_ptr<Region>> adopt(const protocol::AttachParameters& parameters, Region::Fds fds, Account& payer,
                                        const Claim& claim);
  // Takes back a region that an earlier memiod had, as its ledger says it was. `before_added` is called with it before
  // anybody else can know of it. Errors: invalid_name, region_exists, not_the_region, out_of_resources.
  Result<std::shared_ptr<Region>> restore(const RegionRecord& record, Region::Fds fds, Account& payer,
                                          const std::function<void(Region&)>& before_added);
  // The region of these files, by its name or among those that came back without one; else null.
  [[nodiscard]] std::shared_ptr<Region> find_same(const std::string& name, const Region::Fds& fds) const;
  // The region whose memory file this descriptor is, also if it was removed and is still open; else null.
  [[nodiscard]] std::shared_ptr<Region> find_by_memory(int fd) const;
  // Generations go on after this one. Before any region is created.
  void start_after(std::uint64_t generation) noexcept {
    first_generation_ = last_generation_ = std::max(last_generation_, generation);
  }
  // The region of that name, or null.
  [[nodiscard]] std::shared_ptr<Region> find(std::string_view name) const;
  void remove(const std::shared_ptr<Region>& region);

  // In the order of their names.
  [[nodiscard]] const auto& regions() const noexcept { return regions_; }

  // Called after each change. One listener.
  void on_change(OnChange on_change) { on_change_ = std::move(on_change); }

 private:
  Result<void> check_name_is_free(const std::string& name) const;
  Result<void> check_size(const Result<Geometry>& geometry) const;
  void add(const std::shared_ptr<Region>& region);
  void note_memory(const std::shared_ptr<Region>& region);
  // One that an earlier memiod had: under its name, unless it had lost that.
  void add_back(const std::shared_ptr<Region>& region, bool removed);
  // Whether a region may have the generation that it had with an earlier memiod.
  [[nodiscard]] bool may_be_given_back(std::uint64_t generation) const;

  const Limits& limits_;
  std::map<std::string, std::shared_ptr<Region>, std::less<>> regions_;
  std::vector<std::weak_ptr<Region>> removed_;                 // those that came back
  std::unordered_map<ino_t, std::weak_ptr<Region>> by_inode_;  // of its memory file
  std::size_t sweep_at_ = 64;                                  // how many make those that are gone worth forgetting
  std::uint64_t first_generation_ = 0;
  std::uint64_t last_generation_ = 0;
  OnChange on_change_;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "memio/message.h"
#include "memio/region_format.h"
#include "memio/unique_fd.h"

namespace memio::test {

// A memory file, sealed as those of regions are, or not.
UniqueFd make_memfd(std::uint64_t size, bool sealed);

// A region that no memiod has made, as one that its client shows by Attach: the client's cell is 1, another's is 2.
struct ShownRegion {
  static constexpr std::uint32_t cells = 16;

  Geometry geometry = *Geometry::make(Layout::memio64, 4, 100);
  UniqueFd region;
  UniqueFd leases;
  UniqueFd doorbell;

  ShownRegion();
  [[nodiscard]] std::vector<int> fds() const { return {region.get(), leases.get(), doorbell.get()}; }
  void write_cells_used(std::uint32_t used) const;
  // The call that shows it, with `changes` made to the parameters.
  [[nodiscard]] static std::string call(const Json& changes = {});
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

// Giving the memory of stale slots back to the system. How a slot is kept from being written meanwhile is said in
// REGION_FORMAT.md, "Shrinking"; here is what then may go.

#include <cstdint>
#include <span>

#include "memio/region_format.h"

namespace memio::format {

// Bytes of a region's file.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// The slots that are leased in any cell but `own`.
[[nodiscard]] std::uint64_t leases_of_others(std::span<Cell> cells, std::uint32_t own) noexcept;

// What nobody needs of a slot of a snapshot region, in whole pages: all of it if it is stale, what lies behind the
// payload if it is the latest, nothing if somebody else has it leased. The caller has leased it, and every writer that
// might not have seen that has ended. `latest` and `leases_of_others` were loaded after that.
[[nodiscard]] Extent unneeded_part(int region_fd, const Geometry& geometry, unsigned slot, std::uint64_t latest,
                                   std::uint64_t leases_of_others) noexcept;

// Makes a hole there, which reads as zeros and takes up no memory. `region_fd` must be open for writing. Returns how
// many bytes that gave back. Errors: read_only if the region is sealed against writing; system.
Result<std::uint64_t> punch_hole(int region_fd, const Extent& extent);

}  // namespace memio::format

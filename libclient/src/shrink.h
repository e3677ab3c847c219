// SPDX-License-Identifier: MIT
#pragma once

#include "reader.h"
#include "writer.h"

namespace memio {

// Gives the memory of stale slots back, one slot at a time, so that other writers have the rest meanwhile
// (REGION_FORMAT.md, "Shrinking"). Returns how many bytes that were. `writer` must not have begun. Errors: read_only,
// also if the region is sealed; busy if another writer does not end; evicted; corrupt; system.
Result<std::uint64_t> shrink(RegionMemory& memory, Reader& reader, Writer& writer, const Deadline& deadline);

}  // namespace memio

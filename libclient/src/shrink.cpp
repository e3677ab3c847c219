// SPDX-License-Identifier: MIT
#include "shrink.h"

#include "memio/shrink.h"

namespace memio {

namespace {

// The slot is leased, and no writer can have chosen it before.
Result<std::uint64_t> shrink_slot(RegionMemory& memory, unsigned slot) {
  const auto latest = memory.directory().latest.load(std::memory_order_seq_cst);
  if (format::index_of(latest) >= memory.geometry().slots) return fail(Errc::corrupt);
  const auto leases = format::leases_of_others(memory.cells(), memory.cell_index());
  return format::punch_hole(memory.region_fd(),
                            format::unneeded_part(memory.region_fd(), memory.geometry(), slot, latest, leases));
}

}  // namespace

Result<std::uint64_t> shrink(RegionMemory& memory, Reader& reader, Writer& writer, const Deadline& deadline) {
  if (memory.access() != protocol::Access::write) return fail(Errc::read_only);
  std::uint64_t freed = 0;
  // A classic region's only slot is never stale.
  for (unsigned slot = 0; slot < memory.geometry().slots && !memory.geometry().classic(); ++slot) {
    // Leased under the lock: a lease that waited for the lock could be the very one that its holder waits for.
    bool held = false;
    const auto leased = writer.between_writes(deadline, [&] { held = reader.hold(slot); });
    auto result = held && leased ? shrink_slot(memory, slot) : 0;
    if (held) reader.release(slot);
    if (!leased) return fail(leased.error());
    if (!result) return result;
    freed += *result;
  }
  return freed;
}

}  // namespace memio

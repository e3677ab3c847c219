// SPDX-License-Identifier: MIT
#include "region_memory.h"

namespace memio {

Result<RegionMemory> RegionMemory::map(Parts parts) {
  if (parts.cells > format::max_cells || parts.cell >= parts.cells)
    return fail(Errc::protocol_violation, "memiod gave a handle a cell outside its lease table");
  auto region = Mapping::map(parts.region.get(), parts.geometry.total_size(), parts.access,
                             parts.geometry.huge_pages ? Mapping::Pages::huge : Mapping::Pages::small);
  if (!region) return fail(std::move(region.error()));
  auto leases = Mapping::map(parts.leases.get(), format::lease_table_size(parts.cells), protocol::Access::write);
  if (!leases) return fail(std::move(leases.error()));
  RegionMemory memory;
  memory.parts_ = std::move(parts);
  memory.region_ = std::move(*region);
  memory.leases_ = std::move(*leases);
  memory.directory_ =
      reinterpret_cast<format::Directory*>(memory.region_.data() + memory.geometry().directory_offset());
  if (auto checked = format::check_directory(memory.directory(), memory.geometry()); !checked)
    return fail(std::move(checked.error()));
  return memory;
}

}  // namespace memio

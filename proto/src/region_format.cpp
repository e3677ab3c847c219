// SPDX-License-Identifier: MIT
#include "memio/region_format.h"

#include <unistd.h>

#include <algorithm>
#include <string>

namespace memio {

std::uint64_t page_size() noexcept {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

namespace {

std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) noexcept { return (bytes + unit - 1) & ~(unit - 1); }

}  // namespace

std::uint64_t round_to_page(std::uint64_t bytes) noexcept { return round_up(bytes, page_size()); }

Result<Geometry> Geometry::make(Layout layout, std::uint64_t slots, std::uint64_t capacity, bool huge_pages) {
  if (slots < 1 || slots > format::max_slots)
    return fail(Errc::invalid_slots,
                "a region has 1 to " + std::to_string(format::max_slots) + " slots, not " + std::to_string(slots));
  if (capacity < 1 || capacity > format::max_capacity)
    return fail(Errc::invalid_capacity, "a region's capacity is 1 to " + std::to_string(format::max_capacity) +
                                            " bytes, not " + std::to_string(capacity));
  const auto unit = huge_pages ? std::max(page_size(), format::huge_page_size) : page_size();
  return Geometry{layout, static_cast<std::uint32_t>(slots), capacity,
                  round_up(format::header_size(layout) + capacity, unit), huge_pages};
}

std::uint64_t Geometry::total_size() const noexcept { return directory_offset() + page_size(); }

namespace format {

std::uint64_t lease_table_size(std::uint32_t cells) noexcept {
  return round_to_page(offsetof(LeaseTable, cells) + std::uint64_t{cells} * sizeof(Cell));
}

void initialise_directory(Directory& directory, const Geometry& geometry) noexcept {
  directory.magic = directory_magic;
  directory.version = format_version;
  directory.slots = geometry.slots;
  directory.stride = geometry.stride;
  directory.capacity = geometry.capacity;
  directory.header_size = static_cast<std::uint32_t>(header_size(geometry.layout));
}

SlotHeader initial_header(Layout layout) noexcept { return {slot_magic(layout), 0, 0}; }

void initialise_lease_table(LeaseTable& table, std::uint32_t cells) noexcept {
  table.magic = lease_table_magic;
  table.version = format_version;
  table.cell_count = cells;
}

Result<void> check_directory(const Directory& directory, const Geometry& geometry) {
  const auto wrong = [](const char* field) {
    return fail(Errc::corrupt, std::string("the region's directory disagrees with memiod on its ") + field);
  };
  if (directory.magic != directory_magic) return wrong("magic");
  if (directory.version != format_version) return wrong("format version");
  if (directory.slots != geometry.slots) return wrong("number of slots");
  if (directory.stride != geometry.stride) return wrong("stride");
  if (directory.capacity != geometry.capacity) return wrong("capacity");
  if (directory.header_size != header_size(geometry.layout)) return wrong("header size");
  return {};
}

Result<void> check_header(const SlotHeader& header, const Geometry& geometry) noexcept {
  if (header.magic != slot_magic(geometry.layout) || header.length > geometry.capacity) return fail(Errc::corrupt);
  return {};
}

}  // namespace format
}  // namespace memio

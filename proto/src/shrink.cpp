// SPDX-License-Identifier: MIT
#include "memio/shrink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace memio::format {

namespace {

// Of the whole file; others may touch pages of it meanwhile.
std::uint64_t memory_of(int fd) noexcept {
  constexpr std::uint64_t block = 512;
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * block : 0;
}

}  // namespace

std::uint64_t leases_of_others(std::span<Cell> cells, std::uint32_t own) noexcept {
  std::uint64_t leases = 0;
  for (std::uint32_t i = 0; i < cells.size(); ++i)
    if (i != own) leases |= cells[i].leases.load(std::memory_order_seq_cst);
  return leases;
}

Extent unneeded_part(int region_fd, const Geometry& geometry, unsigned slot, std::uint64_t latest,
                     std::uint64_t leases_of_others) noexcept {
  const auto end = geometry.slot_offset(slot + 1);
  auto begin = geometry.slot_offset(slot);
  if (index_of(latest) == slot) {
    SlotHeader header{};
    if (::pread(region_fd, &header, sizeof header, static_cast<off_t>(begin)) != sizeof header ||
        !check_header(header, geometry))
      return {};
    begin = round_to_page(geometry.payload_offset(slot) + header.length);
  } else if ((leases_of_others >> slot & 1) != 0) {
    return {};
  }
  return {begin, end - begin};
}

Result<std::uint64_t> punch_hole(int region_fd, const Extent& extent) {
  if (extent.length == 0) return 0;
  const auto before = memory_of(region_fd);
  int done = -1;
  do {
    done = ::fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(extent.offset),
                       static_cast<off_t>(extent.length));
  } while (done != 0 && errno == EINTR);
  if (done != 0 && errno == EPERM)
    return fail(Errc::read_only, "the region is exclusive, and so sealed against writing; that keeps its memory, too");
  if (done != 0) return fail_errno(errno, "giving shared memory back");
  return before - std::min(before, memory_of(region_fd));
}

}  // namespace memio::format

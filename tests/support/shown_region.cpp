// SPDX-License-Identifier: MIT
#include "support/shown_region.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <stdexcept>

namespace memio::test {

namespace {

void write_at(const UniqueFd& fd, const void* data, std::size_t size, std::uint64_t offset) {
  if (::pwrite(fd.get(), data, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size))
    throw std::runtime_error("cannot write to a memory file");
}

}  // namespace

UniqueFd make_memfd(std::uint64_t size, bool sealed) {
  UniqueFd fd(::memfd_create("shown", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
      (sealed && ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0))
    throw std::runtime_error("cannot make a memory file");
  return fd;
}

ShownRegion::ShownRegion()
    : region(make_memfd(geometry.total_size(), true)),
      leases(make_memfd(format::lease_table_size(cells), true)),
      doorbell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  format::Directory directory{};
  format::initialise_directory(directory, geometry);
  write_at(region, &directory, sizeof directory, geometry.directory_offset());
  write_cells_used(3);
}

void ShownRegion::write_cells_used(std::uint32_t used) const {
  write_at(leases, &used, sizeof used, offsetof(format::LeaseTable, cells_used));
}

std::string ShownRegion::call(const Json& changes) {
  Json parameters = {{"name", "shown"},
                     {"capacity", 100},
                     {"slots", 4},
                     {"layout", "memio64"},
                     {"lifetime", "linger"},
                     {"exclusive", false},
                     {"hugePages", false},
                     {"access", "write"},
                     {"creator", true},
                     {"cell", 1},
                     {"cells", cells},
                     {"regionFileDescriptor", 0},
                     {"leasesFileDescriptor", 1},
                     {"doorbellFileDescriptor", 2}};
  if (changes.is_object()) parameters.update(changes);
  return Json{{"method", "io.memio.Attach"}, {"parameters", parameters}}.dump();
}

}  // namespace memio::test

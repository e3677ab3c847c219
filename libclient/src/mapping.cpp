// SPDX-License-Identifier: MIT
#include "mapping.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "memio/region_format.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace memio {

namespace {

using format::huge_page_size;

// An address range that begins where a huge page may, or MAP_FAILED.
void* reserve_aligned(std::uint64_t size) noexcept {
  const auto reserved = round_to_page(size) + huge_page_size;
  void* data = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return data;
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const auto aligned = (begin + huge_page_size - 1) & ~(huge_page_size - 1);
  const auto end = aligned + round_to_page(size);
  if (aligned > begin) ::munmap(data, aligned - begin);
  if (begin + reserved > end) ::munmap(reinterpret_cast<void*>(end), begin + reserved - end);
  return reinterpret_cast<void*>(aligned);
}

}  // namespace

Result<Mapping> Mapping::map(int fd, std::uint64_t size, protocol::Access access, Pages pages) {
  // A file shorter than its mapping would raise SIGBUS later.
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "asking for the size of shared memory");
  if (static_cast<std::uint64_t>(status.st_size) < size)
    return fail(Errc::corrupt, "memiod gave shared memory of " + std::to_string(status.st_size) + " bytes where " +
                                   std::to_string(size) + " were said");
  const int protection = access == protocol::Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* place = nullptr;
  int flags = MAP_SHARED;
  if (pages == Pages::huge) {
    place = reserve_aligned(size);
    if (place == MAP_FAILED) return fail_errno(errno, "finding room for shared memory");
    flags |= MAP_FIXED;
  }
  void* data = ::mmap(place, size, protection, flags, fd, 0);
  if (data == MAP_FAILED) {
    const int error = errno;
    if (place) ::munmap(place, size);
    return fail_errno(error, "mapping " + std::to_string(size) + " bytes of shared memory");
  }
  // Refused by kernels without huge pages, which is as good as an answer.
  if (pages == Pages::huge) ::madvise(data, size, MADV_HUGEPAGE);
  Mapping mapping;
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.size_ = size;
  mapping.access_ = access;
  mapping.pages_ = pages;
  return mapping;
}

Mapping::~Mapping() {
  if (data_) ::munmap(data_, size_);
}

Result<void> Mapping::prefault(std::uint64_t size) const {
  const int populate = access_ == protocol::Access::write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  if (pages_ == Pages::huge) {
    // Most systems give huge pages of shared memory to those alone who collapse small ones. One page makes a collapse
    // possible, and is all that has to be there for it. What cannot be collapsed stays as it is.
    for (std::uint64_t at = 0; at < size; at += huge_page_size)
      if (::madvise(data_ + at, page_size(), populate) != 0) return fail_errno(errno, "allocating shared memory");
    [[maybe_unused]] const int collapsed = ::madvise(data_, size, MADV_COLLAPSE);
  }
  if (::madvise(data_, size, populate) != 0) return fail_errno(errno, "allocating shared memory");
  return {};
}

}  // namespace memio

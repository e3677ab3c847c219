// SPDX-License-Identifier: MIT
#include "mapping.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace memio {

Result<Mapping> Mapping::map(int fd, std::uint64_t size, protocol::Access access) {
  // A file shorter than its mapping would raise SIGBUS later.
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "asking for the size of shared memory");
  if (static_cast<std::uint64_t>(status.st_size) < size)
    return fail(Errc::corrupt, "memiod gave shared memory of " + std::to_string(status.st_size) + " bytes where " +
                                   std::to_string(size) + " were said");
  const int protection = access == protocol::Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return fail_errno(errno, "mapping " + std::to_string(size) + " bytes of shared memory");
  Mapping mapping;
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.size_ = size;
  return mapping;
}

Mapping::~Mapping() {
  if (data_) ::munmap(data_, size_);
}

}  // namespace memio

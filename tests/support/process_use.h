// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace memio::test {

// What a process has open and takes up.
struct ProcessUse {
  std::uint64_t descriptors = 0;
  std::uint64_t mappings = 0;
  std::uint64_t resident = 0;  // bytes
  std::uint64_t own = 0;       // bytes of these that are no shared memory, such as regions are
};
ProcessUse use_of(pid_t pid);

}  // namespace memio::test

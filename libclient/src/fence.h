// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

namespace memio {

// A fence for a classic region's seqlock, whose payload is plain memory that readers copy while a writer may be at
// work. GCC's thread sanitizer knows no fences and refuses to compile one, so it is told to look away; what it could
// check here, unordered payload bytes, is what a seqlock allows and then throws away.
__attribute__((no_sanitize("thread"))) inline void seqlock_fence(std::memory_order order) noexcept {
  std::atomic_thread_fence(order);
}

}  // namespace memio

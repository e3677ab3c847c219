// SPDX-License-Identifier: MIT
#pragma once

namespace memio {

// For loops that look again and again: leaves the CPU to others that share it, for some cycles.
inline void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace memio {

// Copies what this CPU does not read again, and another reads next: into memory, past this CPU's caches, from which the
// other would have to fetch each line (bench/stream_bench.cpp measures that). The other sees all of it as soon as it
// sees anything that is stored afterwards. `to` is at least as long as `from`.
inline void copy_past_caches(std::span<std::byte> to, std::span<const std::byte> from) noexcept {
#if defined(__SSE2__)
  constexpr std::size_t line = 64;
  // Less is rather found in a cache.
  constexpr std::size_t worth_it = 4096;
  if (from.size() >= worth_it) {
    const auto before = (line - reinterpret_cast<std::uintptr_t>(to.data()) % line) % line;
    const auto lines = (from.size() - before) / line;
    std::memcpy(to.data(), from.data(), before);
    auto* target = reinterpret_cast<__m128i*>(to.data() + before);
    const auto* source = reinterpret_cast<const __m128i*>(from.data() + before);
    for (std::size_t i = 0; i < lines; ++i, target += 4, source += 4) {
      const __m128i a = _mm_loadu_si128(source);
      const __m128i b = _mm_loadu_si128(source + 1);
      const __m128i c = _mm_loadu_si128(source + 2);
      const __m128i d = _mm_loadu_si128(source + 3);
      _mm_stream_si128(target, a);
      _mm_stream_si128(target + 1, b);
      _mm_stream_si128(target + 2, c);
      _mm_stream_si128(target + 3, d);
    }
    const auto done = before + lines * line;
    std::memcpy(to.data() + done, from.data() + done, from.size() - done);
    _mm_sfence();  // such stores are not in order with later ones by themselves
    return;
  }
#endif
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace memio

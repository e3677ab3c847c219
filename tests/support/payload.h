// SPDX-License-Identifier: MIT
#pragma once

// Payloads that say what they are: every byte, and the length, follow from a seed that the writer also gives as the
// version. A reader that compares all of them notices any byte that belongs to another publish.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace memio::test {

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t number) noexcept {  // splitmix64
  number += 0x9E37'79B9'7F4A'7C15;
  number = (number ^ number >> 30) * 0xBF58'476D'1CE4'E5B9;
  number = (number ^ number >> 27) * 0x94D0'49BB'1331'11EB;
  return number ^ number >> 31;
}

// Three of four payloads are short, so that what happens around them gets its share of the time.
[[nodiscard]] constexpr std::size_t payload_length(std::uint64_t seed, std::size_t capacity) noexcept {
  const auto random = mix(seed);
  return random % 4 == 0 ? random / 4 % (capacity + 1) : std::min<std::size_t>(random / 4 % 200, capacity);
}

// `payload` has payload_length() bytes.
inline void fill_payload(std::span<std::byte> payload, std::uint64_t seed) noexcept {
  for (std::uint64_t i = 0; i * 8 < payload.size(); ++i) {
    const auto word = mix(seed ^ i);
    std::memcpy(payload.data() + i * 8, &word, std::min<std::size_t>(8, payload.size() - i * 8));
  }
}

[[nodiscard]] inline bool is_whole(std::span<const std::byte> payload, std::uint64_t seed,
                                   std::size_t capacity) noexcept {
  if (payload.size() != payload_length(seed, capacity)) return false;
  for (std::uint64_t i = 0; i * 8 < payload.size(); ++i) {
    const auto word = mix(seed ^ i);
    if (std::memcmp(payload.data() + i * 8, &word, std::min<std::size_t>(8, payload.size() - i * 8)) != 0) return false;
  }
  return true;
}

}  // namespace memio::test

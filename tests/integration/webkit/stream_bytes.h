// SPDX-License-Identifier: MIT
#pragma once

// Bytes for streams, the same in C++ and in JavaScript: blocks of 1 MiB, each begins with its number.

#include <glib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace memio::test {

inline constexpr std::size_t stream_block = std::size_t{1} << 20;

inline void fill_block(std::span<std::byte> block, std::uint64_t number) {
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i * 7 + (i >> 11));
  const auto low = static_cast<std::uint32_t>(number);
  std::memcpy(block.data(), &low, sizeof low);
}

// The same, as a JavaScript function bytesAt(number).
inline constexpr const char* bytes_in_javascript = R"js(
  const pattern = new Uint8Array(2 ** 20).map((_, i) => i * 7 + (i >> 11));
  const bytesAt = number => { new DataView(pattern.buffer).setUint32(0, number, true); return pattern; };
)js";

class Sha256 {
 public:
  void add(std::span<const std::byte> bytes) {
    g_checksum_update(sum_.get(), reinterpret_cast<const guchar*>(bytes.data()), static_cast<gssize>(bytes.size()));
  }
  std::string hex() { return g_checksum_get_string(sum_.get()); }

 private:
  struct Free {
    void operator()(GChecksum* sum) const noexcept { g_checksum_free(sum); }
  };
  std::unique_ptr<GChecksum, Free> sum_{g_checksum_new(G_CHECKSUM_SHA256)};
};

inline std::string sha256_of_stream(std::uint64_t length) {
  Sha256 sha;
  std::vector<std::byte> block(stream_block);
  for (std::uint64_t at = 0; at < length; at += block.size()) {
    fill_block(block, at / stream_block);
    sha.add(std::span(block).first(std::min<std::uint64_t>(block.size(), length - at)));
  }
  return sha.hex();
}

}  // namespace memio::test

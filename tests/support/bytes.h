// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace memio::test {

[[nodiscard]] inline std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

[[nodiscard]] inline std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace memio::test

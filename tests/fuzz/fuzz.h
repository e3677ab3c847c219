// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace memio::fuzz {

// What must hold whatever the input is.
inline void require(bool condition) {
  if (!condition) std::abort();
}

// Takes an input apart. When it is used up there are only zeros.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  template <class T>
  T number() {
    T value{};
    const auto taken = take(sizeof value);
    std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  // Up to `most` bytes.
  std::string_view take(std::size_t most) {
    const auto count = most < bytes_.size() ? most : bytes_.size();
    const auto* begin = reinterpret_cast<const char*>(bytes_.data());
    bytes_ = bytes_.subspan(count);
    return {begin, count};
  }
  std::string_view rest() { return take(bytes_.size()); }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace memio::fuzz

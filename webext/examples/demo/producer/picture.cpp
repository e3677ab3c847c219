// SPDX-License-Identifier: MIT
// Bilinear, because a camera this slow moves by fractions of a pixel, and nearest neighbours would make it tremble.
#include "picture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace memio::demo {

namespace {

std::uint32_t mix(std::uint32_t a, std::uint32_t b, std::uint32_t weight) noexcept {
  // Two channels at a time: 8 bits each with 8 bits of room above.
  constexpr std::uint32_t mask = 0x00FF00FF;
  const std::uint32_t even = ((a & mask) * (256 - weight) + (b & mask) * weight) >> 8;
  const std::uint32_t odd = ((a >> 8) & mask) * (256 - weight) + ((b >> 8) & mask) * weight;
  return (even & mask) | (odd & ~mask);
}

}  // namespace

void Picture::set_taps(std::vector<Tap>& taps, int count, double start, double step, int limit) {
  taps.resize(static_cast<std::size_t>(count));
  double position = start;
  for (Tap& tap : taps) {
    const double clamped = std::clamp(position, 0.0, static_cast<double>(limit - 1));
    tap.first = static_cast<std::uint32_t>(clamped);
    tap.second = std::min(tap.first + 1, static_cast<std::uint32_t>(limit - 1));
    tap.weight = static_cast<std::uint32_t>((clamped - tap.first) * 256);
    position += step;
  }
}

void Picture::draw(double seconds, FrameSize target_size, std::span<std::byte> target) {
  // Three periods with no common multiple that anyone would wait for.
  const auto wave = [seconds](double period) { return 0.5 - 0.5 * std::cos(2 * std::numbers::pi * seconds / period); };
  const double zoom = 1.08 + 0.55 * wave(23);
  const double width = size_.width / zoom;
  const double height = size_.height / zoom;
  set_taps(columns_, target_size.width, (size_.width - width) * wave(17), width / target_size.width, size_.width);
  set_taps(rows_, target_size.height, (size_.height - height) * wave(29), height / target_size.height, size_.height);

  const auto* const source = reinterpret_cast<const std::uint32_t*>(rgba_.data());
  auto* out = reinterpret_cast<std::uint32_t*>(target.data());
  for (const Tap& row : rows_) {
    const std::uint32_t* const above = source + std::size_t{row.first} * static_cast<std::size_t>(size_.width);
    const std::uint32_t* const below = source + std::size_t{row.second} * static_cast<std::size_t>(size_.width);
    for (const Tap& column : columns_) {
      const std::uint32_t top = mix(above[column.first], above[column.second], column.weight);
      const std::uint32_t bottom = mix(below[column.first], below[column.second], column.weight);
      *out++ = mix(top, bottom, row.weight);
    }
  }
}

}  // namespace memio::demo

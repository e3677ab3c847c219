// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "frame_publisher.h"

namespace memio::demo {

// A still picture, and the slow journey of a camera over it.
class Picture {
 public:
  Picture(FrameSize size, std::vector<std::byte> rgba) : size_(size), rgba_(std::move(rgba)) {}

  // Draws what the camera sees after `seconds`: RGBA of `target_size`, which has the picture's proportions.
  void draw(double seconds, FrameSize target_size, std::span<std::byte> target);

 private:
  // Where between two source pixels an output pixel lies.
  struct Tap {
    std::uint32_t first = 0;
    std::uint32_t second = 0;
    std::uint32_t weight = 0;  // of the second, out of 256
  };
  static void set_taps(std::vector<Tap>& taps, int count, double start, double step, int limit);

  FrameSize size_;
  std::vector<std::byte> rgba_;
  std::vector<Tap> columns_;
  std::vector<Tap> rows_;
};

}  // namespace memio::demo

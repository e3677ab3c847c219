// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "gst_ptr.h"
#include "memio/client.h"
#include "memio/result.h"

namespace memio::demo {

// What stands before the pixels in the payload of demo/frames, as page/frames.js reads it.
struct FrameHeader {
  static constexpr double layout_number = 1;

  double layout = layout_number;
  double width = 0;
  double height = 0;
  double stride = 0;        // bytes from row to row; RGBA, 8 bits each
  double pts_ms = 0;        // the frame's place in the film
  double number = 0;        // counted from 1, through all repetitions
  double published_ms = 0;  // CLOCK_REALTIME
  double rate = 0;          // the film's own frames a second
};
static_assert(sizeof(FrameHeader) == 64);

// Publishes pictures of one size to demo/frames, each made where it will be read.
class FramePublisher {
 public:
  static constexpr const char* region_name = "demo/frames";

  // Creates the region. Errors: as Client::create.
  static Result<FramePublisher> create(Client& client, int width, int height);

  [[nodiscard]] int width() const noexcept { return width_; }
  [[nodiscard]] int height() const noexcept { return height_; }

  // Has `draw` fill the pixels of a free slot, then publishes them; false from it means that it could not. A frame for
  // which no slot is free is left out, as any film does whose audience is slow. Errors: as Region::begin and commit;
  // system.
  Result<void> publish(double pts_ms, double rate, const std::function<bool(std::span<std::byte>)>& draw);

 private:
  FramePublisher(Region region, int width, int height) : region_(std::move(region)), width_(width), height_(height) {}

  Region region_;
  int width_;
  int height_;
  double number_ = 0;
};

// Turns whatever a decoder gives into RGBA of one size, writing into memory of the caller's.
class RgbaConverter {
 public:
  RgbaConverter(int width, int height) noexcept;
  // False if the sample is no video, or of a kind that cannot be converted.
  bool convert(GstSample* sample, std::span<std::byte> pixels);

 private:
  GstVideoInfo target_;
  GstVideoInfo source_;
  GstPtr<GstVideoConverter> converter_;
};

struct FrameSize {
  int width = 0;
  int height = 0;
};

// The size of a sample's picture, made smaller to fit into `limit` if need be; nothing if it is no video.
[[nodiscard]] std::optional<FrameSize> fitting_size(GstSample* sample, FrameSize limit) noexcept;

}  // namespace memio::demo

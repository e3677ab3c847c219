// SPDX-License-Identifier: MIT
#include "frame_publisher.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "event_loop.h"

namespace memio::demo {

Result<FramePublisher> FramePublisher::create(Client& client, int width, int height) {
  const auto pixels = static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height);
  auto region = client.create(region_name, RegionOptions{.capacity = sizeof(FrameHeader) + pixels * 4});
  if (!region) return fail(region.error());
  region->set_write_timeout(std::chrono::milliseconds(0));
  return FramePublisher(std::move(*region), width, height);
}

Result<void> FramePublisher::publish(double pts_ms, double rate,
                                     const std::function<bool(std::span<std::byte>)>& draw) {
  const int stride = width_ * 4;
  const std::size_t length = sizeof(FrameHeader) + static_cast<std::size_t>(stride) * static_cast<std::size_t>(height_);
  auto payload = region_.begin(length);
  if (!payload) {
    if (payload.error().code == Errc::busy) return {};
    return fail(payload.error());
  }
  if (!draw(payload->subspan(sizeof(FrameHeader)))) {
    region_.abort();
    return fail(Errc::system, "GStreamer cannot convert what it decoded to RGBA");
  }
  const FrameHeader header{.width = static_cast<double>(width_),
                           .height = static_cast<double>(height_),
                           .stride = static_cast<double>(stride),
                           .pts_ms = pts_ms,
                           .number = ++number_,
                           .published_ms = wall_clock_ms(),
                           .rate = rate};
  std::memcpy(payload->data(), &header, sizeof header);
  if (auto sequence = region_.commit(); !sequence) return fail(sequence.error());
  return {};
}

RgbaConverter::RgbaConverter(int width, int height) noexcept {
  gst_video_info_set_format(&target_, GST_VIDEO_FORMAT_RGBA, static_cast<guint>(width), static_cast<guint>(height));
  gst_video_info_init(&source_);
}

bool RgbaConverter::convert(GstSample* sample, std::span<std::byte> pixels) {
  GstCaps* const caps = gst_sample_get_caps(sample);
  GstBuffer* const buffer = gst_sample_get_buffer(sample);
  GstVideoInfo info;
  if (caps == nullptr || buffer == nullptr || !gst_video_info_from_caps(&info, caps)) return false;
  if (pixels.size() < GST_VIDEO_INFO_SIZE(&target_)) return false;
  if (!converter_ || !gst_video_info_is_equal(&info, &source_)) {
    // A converter changes colours and sizes, not time: it insists on these being the same.
    target_.fps_n = info.fps_n;
    target_.fps_d = info.fps_d;
    target_.interlace_mode = info.interlace_mode;
    converter_.reset(gst_video_converter_new(&info, &target_, nullptr));
    if (!converter_) return false;
    source_ = info;
  }

  // The slot itself, dressed as a GStreamer buffer: the conversion of colours is what writes it.
  const GstPtr<GstBuffer> slot(
      gst_buffer_new_wrapped_full(GstMemoryFlags{}, pixels.data(), pixels.size(), 0, pixels.size(), nullptr, nullptr));
  GstVideoFrame from;
  GstVideoFrame to;
  if (!gst_video_frame_map(&from, &source_, buffer, GST_MAP_READ)) return false;
  const bool mapped = gst_video_frame_map(&to, &target_, slot.get(), GST_MAP_WRITE);
  if (mapped) {
    gst_video_converter_frame(converter_.get(), &from, &to);
    gst_video_frame_unmap(&to);
  }
  gst_video_frame_unmap(&from);
  return mapped;
}

std::optional<FrameSize> fitting_size(GstSample* sample, FrameSize limit) noexcept {
  GstCaps* const caps = gst_sample_get_caps(sample);
  GstVideoInfo info;
  if (caps == nullptr || !gst_video_info_from_caps(&info, caps)) return std::nullopt;
  // Pixels need not be square.
  const double width = static_cast<double>(info.width) * info.par_n / info.par_d;
  const double height = info.height;
  const double scale = std::min({1.0, limit.width / width, limit.height / height});
  // Even, so that chroma planes divide.
  const auto even = [scale](double length) {
    return std::max(2, 2 * static_cast<int>(std::lround(length * scale / 2)));
  };
  return FrameSize{even(width), even(height)};
}

}  // namespace memio::demo

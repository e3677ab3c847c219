// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "event_loop.h"
#include "gst_ptr.h"
#include "memio/result.h"

namespace memio::demo {

// Plays a film over and over at its own speed, and hands out each decoded frame.
//
// GStreamer decodes in threads of its own; they only ring an eventfd, and everything here happens in the loop's thread.
class VideoPlayer {
 public:
  struct Handlers {
    // A frame that is due now, in whatever format it was decoded to.
    std::function<void(GstSample*)> frame;
    // The file is a picture: this is all there is.
    std::function<void(GstPtr<GstSample>)> picture;
    std::function<void(Error)> failed;
  };

  // Error: system, if GStreamer lacks an element. That a file cannot be played is told later, to Handlers::failed.
  static Result<std::unique_ptr<VideoPlayer>> create(EventLoop& loop, const std::string& path, Handlers handlers);
  ~VideoPlayer();
  VideoPlayer(const VideoPlayer&) = delete;
  VideoPlayer& operator=(const VideoPlayer&) = delete;

 private:
  VideoPlayer(EventLoop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}
  Result<void> start(const std::string& path);
  void on_samples();
  void on_message(GstMessage* message);
  void on_prerolled();
  void rewind(GstSeekFlags flags);
  void stop();

  EventLoop& loop_;
  Handlers handlers_;
  UniqueFd sample_ready_;
  GstPtr<GstElement> pipeline_;
  GstElement* sink_ = nullptr;  // the pipeline's
  GstPtr<GstBus> bus_;
  int bus_fd_ = -1;  // the bus's
  bool playing_ = false;
  std::uint64_t frames_ = 0;
  GstPtr<GstSample> latest_;
};

// Where in the film a sample is, in milliseconds.
[[nodiscard]] double sample_pts_ms(GstSample* sample) noexcept;
// Frames a second as the film says, or 0.
[[nodiscard]] double sample_rate(GstSample* sample) noexcept;

}  // namespace memio::demo

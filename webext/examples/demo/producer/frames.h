// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "frame_publisher.h"
#include "picture.h"
#include "video_player.h"

namespace memio::demo {

// Shows a file in demo/frames: a film at its own speed, a picture with a moving camera.
class Frames {
 public:
  // Called once, when the first frame has been published, or with what kept it from being so; and again if showing
  // fails later.
  using Shown = std::function<void(Result<void>)>;

  // The region is created when the first frame tells its size.
  static Result<std::unique_ptr<Frames>> create(Client& client, EventLoop& loop, const std::string& path, Shown shown);
  ~Frames();
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

 private:
  Frames(Client& client, EventLoop& loop, Shown shown) : client_(client), loop_(loop), shown_(std::move(shown)) {}
  void show_frame(GstSample* sample);
  void show_picture(GstPtr<GstSample> sample);
  void show_view();
  void report(Result<void> result);

  Client& client_;
  EventLoop& loop_;
  Shown shown_;
  bool reported_ = false;
  std::optional<FramePublisher> publisher_;
  std::optional<RgbaConverter> converter_;
  std::optional<Picture> picture_;
  double picture_started_ms_ = 0;
  UniqueFd picture_timer_;
  std::unique_ptr<VideoPlayer> player_;  // ends first: its handlers use all of the above
};

}  // namespace memio::demo

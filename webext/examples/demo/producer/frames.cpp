// SPDX-License-Identifier: MIT
#include "frames.h"

namespace memio::demo {

namespace {

constexpr FrameSize largest_frame{1920, 1080};
constexpr FrameSize largest_picture{2560, 1440};  // more than a frame, so that there is something to zoom into
constexpr FrameSize picture_frame{1280, 720};     // drawn by this program itself, pixel by pixel
constexpr double picture_rate = 30;

}  // namespace

Result<std::unique_ptr<Frames>> Frames::create(Client& client, EventLoop& loop, const std::string& path, Shown shown) {
  std::unique_ptr<Frames> frames(new Frames(client, loop, std::move(shown)));
  Frames* const self = frames.get();
  auto player = VideoPlayer::create(
      loop, path,
      VideoPlayer::Handlers{.frame = [self](GstSample* sample) { self->show_frame(sample); },
                            .picture = [self](GstPtr<GstSample> sample) { self->show_picture(std::move(sample)); },
                            .failed = [self](Error error) { self->report(fail(std::move(error))); }});
  if (!player) return fail(player.error());
  frames->player_ = std::move(*player);
  return frames;
}

Frames::~Frames() {
  if (picture_timer_.valid()) loop_.forget(picture_timer_.get());
}

void Frames::show_frame(GstSample* sample) {
  if (!publisher_) {
    // A picture has no rate. Some films tell none either; they are shown a little smaller, then.
    const auto size = fitting_size(sample, sample_rate(sample) > 0 ? largest_frame : picture_frame);
    if (!size) return report(fail(Errc::system, "what GStreamer decoded is no picture"));
    auto publisher = FramePublisher::create(client_, size->width, size->height);
    if (!publisher) return report(fail(publisher.error()));
    publisher_.emplace(std::move(*publisher));
    converter_.emplace(size->width, size->height);
  }
  report(publisher_->publish(sample_pts_ms(sample), sample_rate(sample),
                             [&](std::span<std::byte> pixels) { return converter_->convert(sample, pixels); }));
}

// The picture came as a first frame, too: the region is there, and the camera looks through a window of its size.
void Frames::show_picture(GstPtr<GstSample> sample) {
  const auto size = fitting_size(sample.get(), largest_picture);
  if (!size) return report(fail(Errc::system, "what GStreamer decoded is no picture"));
  std::vector<std::byte> rgba(static_cast<std::size_t>(size->width) * static_cast<std::size_t>(size->height) * 4);
  if (!RgbaConverter(size->width, size->height).convert(sample.get(), rgba)) {
    return report(fail(Errc::system, "GStreamer cannot convert the picture to RGBA"));
  }
  picture_.emplace(*size, std::move(rgba));

  auto timer = make_interval_timer(static_cast<long>(1e9 / picture_rate));
  if (!timer) return report(fail(timer.error()));
  picture_timer_ = std::move(*timer);
  picture_started_ms_ = wall_clock_ms();
  if (auto watched = loop_.watch(picture_timer_.get(), [this] { show_view(); }); !watched) report(watched);
}

void Frames::show_view() {
  drain(picture_timer_.get());
  const double elapsed_ms = wall_clock_ms() - picture_started_ms_;
  report(publisher_->publish(elapsed_ms, picture_rate, [&](std::span<std::byte> pixels) {
    picture_->draw(elapsed_ms / 1e3, FrameSize{publisher_->width(), publisher_->height()}, pixels);
    return true;
  }));
}

void Frames::report(Result<void> result) {
  if (result && reported_) return;
  reported_ = true;
  shown_(std::move(result));
}

}  // namespace memio::demo

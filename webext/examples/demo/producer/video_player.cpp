// SPDX-License-Identifier: MIT
// The film is played as a segment: at its end GStreamer says SEGMENT_DONE while the last frames are still being shown,
// and a seek without a flush puts the beginning right behind them. Files that cannot do that end with EOS, and start
// again with a flush.
#include "video_player.h"

#include <gst/app/gstappsink.h>
#include <sys/eventfd.h>

#include <cerrno>

namespace memio::demo {

namespace {

GstFlowReturn ring(GstAppSink*, gpointer eventfd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = ::write(GPOINTER_TO_INT(eventfd), &one, sizeof one);
  return GST_FLOW_OK;
}

}  // namespace

Result<std::unique_ptr<VideoPlayer>> VideoPlayer::create(EventLoop& loop, const std::string& path, Handlers handlers) {
  std::unique_ptr<VideoPlayer> player(new VideoPlayer(loop, std::move(handlers)));
  if (auto started = player->start(path); !started) return fail(started.error());
  return player;
}

VideoPlayer::~VideoPlayer() { stop(); }

Result<void> VideoPlayer::start(const std::string& path) {
  sample_ready_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!sample_ready_.valid()) return fail_errno(errno, "creating an eventfd");

  sink_ = gst_element_factory_make("appsink", nullptr);
  pipeline_.reset(gst_element_factory_make("playbin", nullptr));
  if (sink_ == nullptr || !pipeline_) {
    return fail(Errc::system, "GStreamer has no playbin or appsink: install gstreamer1.0-plugins-base");
  }
  // Two frames of patience; then the oldest is dropped, and the film keeps its time.
  g_object_set(sink_, "max-buffers", 2U, "drop", TRUE, nullptr);
  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = ring;
  gst_app_sink_set_callbacks(GST_APP_SINK(sink_), &callbacks, GINT_TO_POINTER(sample_ready_.get()), nullptr);

  GError* error = nullptr;
  const GstPtr<char> uri(gst_filename_to_uri(path.c_str(), &error));
  if (!uri) {
    Error failure{Errc::system, 0, "cannot show " + path + ": " + error->message};
    g_error_free(error);
    return fail(std::move(failure));
  }
  g_object_set(pipeline_.get(), "uri", uri.get(), "video-sink", sink_, nullptr);
  gst_util_set_object_arg(G_OBJECT(pipeline_.get()), "flags", "video");

  bus_.reset(gst_element_get_bus(pipeline_.get()));
  GPollFD poll;
  gst_bus_get_pollfd(bus_.get(), &poll);
  bus_fd_ = poll.fd;
  if (auto watched = loop_.watch(sample_ready_.get(), [this] { on_samples(); }); !watched) return watched;
  if (auto watched = loop_.watch(bus_fd_,
                                 [this] {
                                   while (pipeline_) {
                                     const GstPtr<GstMessage> message(gst_bus_pop(bus_.get()));
                                     if (!message) break;
                                     on_message(message.get());
                                   }
                                 });
      !watched) {
    return watched;
  }
  gst_element_set_state(pipeline_.get(), GST_STATE_PAUSED);
  return {};
}

void VideoPlayer::on_samples() {
  drain(sample_ready_.get());
  while (GstPtr<GstSample> sample{gst_app_sink_try_pull_sample(GST_APP_SINK(sink_), 0)}) {
    ++frames_;
    latest_ = std::move(sample);
    handlers_.frame(latest_.get());
  }
}

void VideoPlayer::on_message(GstMessage* message) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ASYNC_DONE: on_prerolled(); break;
    case GST_MESSAGE_SEGMENT_DONE: rewind(GST_SEEK_FLAG_SEGMENT); break;
    case GST_MESSAGE_EOS:
      on_samples();
      if (frames_ == 1) {
        stop();
        handlers_.picture(std::move(latest_));
      } else {
        rewind(static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT));
      }
      break;
    case GST_MESSAGE_ERROR: {
      GError* error = nullptr;
      gst_message_parse_error(message, &error, nullptr);
      Error failure{Errc::system, 0, std::string("GStreamer cannot go on: ") + error->message};
      g_error_free(error);
      stop();
      handlers_.failed(std::move(failure));
      break;
    }
    default: break;
  }
}

void VideoPlayer::on_prerolled() {
  if (playing_) return;  // a later flush has been prerolled
  playing_ = true;
  gint64 duration = 0;
  const bool is_film = gst_element_query_duration(pipeline_.get(), GST_FORMAT_TIME, &duration) && duration > 0;
  if (is_film) rewind(static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT));
  gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING);
}

void VideoPlayer::rewind(GstSeekFlags flags) {
  gst_element_seek(pipeline_.get(), 1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, -1);
}

void VideoPlayer::stop() {
  if (sample_ready_.valid()) loop_.forget(sample_ready_.get());
  if (bus_fd_ >= 0) loop_.forget(bus_fd_);
  bus_fd_ = -1;
  // Waits for GStreamer's threads: nobody rings the eventfd after this.
  if (pipeline_) gst_element_set_state(pipeline_.get(), GST_STATE_NULL);
  bus_.reset();
  pipeline_.reset();
}

double sample_pts_ms(GstSample* sample) noexcept {
  GstBuffer* const buffer = gst_sample_get_buffer(sample);
  if (buffer == nullptr || !GST_BUFFER_PTS_IS_VALID(buffer)) return 0;
  return static_cast<double>(GST_BUFFER_PTS(buffer)) / 1e6;
}

double sample_rate(GstSample* sample) noexcept {
  GstVideoInfo info;
  GstCaps* const caps = gst_sample_get_caps(sample);
  if (caps == nullptr || !gst_video_info_from_caps(&info, caps) || info.fps_d == 0) return 0;
  return static_cast<double>(info.fps_n) / info.fps_d;
}

}  // namespace memio::demo

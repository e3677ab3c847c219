// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <memory>

namespace memio::demo {

struct GstDeleter {
  void operator()(GstElement* element) const noexcept { gst_object_unref(element); }
  void operator()(GstBus* bus) const noexcept { gst_object_unref(bus); }
  void operator()(GstSample* sample) const noexcept { gst_sample_unref(sample); }
  void operator()(GstMessage* message) const noexcept { gst_message_unref(message); }
  void operator()(GstBuffer* buffer) const noexcept { gst_buffer_unref(buffer); }
  void operator()(GstVideoConverter* converter) const noexcept { gst_video_converter_free(converter); }
  void operator()(char* text) const noexcept { g_free(text); }
};

// Owns one reference, as GStreamer's "transfer full" hands it over.
template <class T>
using GstPtr = std::unique_ptr<T, GstDeleter>;

}  // namespace memio::demo

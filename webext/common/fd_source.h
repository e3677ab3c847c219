// SPDX-License-Identifier: MIT
#pragma once

#include <glib-unix.h>

#include <functional>
#include <utility>

namespace memio::webext {

// Calls `on_readable` from the default main context whenever a descriptor is readable. Borrows the descriptor, so it is
// to be declared after its owner. May be destroyed from within the call.
class FdSource {
 public:
  FdSource() noexcept = default;
  FdSource(int fd, std::function<void()> on_readable)
      : source_(g_unix_fd_source_new(fd, static_cast<GIOCondition>(G_IO_IN | G_IO_HUP | G_IO_ERR))) {
    const auto call = +[](gint, GIOCondition, gpointer data) -> gboolean {
      (*static_cast<std::function<void()>*>(data))();
      return G_SOURCE_CONTINUE;
    };
    // GLib frees the function when the source is destroyed and no longer being dispatched.
    g_source_set_callback(source_, G_SOURCE_FUNC(call), new std::function<void()>(std::move(on_readable)),
                          [](gpointer data) { delete static_cast<std::function<void()>*>(data); });
    g_source_attach(source_, nullptr);
  }
  FdSource(FdSource&& other) noexcept : source_(std::exchange(other.source_, nullptr)) {}
  FdSource& operator=(FdSource&& other) noexcept {
    std::swap(source_, other.source_);
    return *this;
  }
  ~FdSource() {
    if (!source_) return;
    g_source_destroy(source_);
    g_source_unref(source_);
  }

 private:
  GSource* source_ = nullptr;
};

}  // namespace memio::webext

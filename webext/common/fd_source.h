// SPDX-License-Identifier: MIT
#pragma once

#include <glib-unix.h>

#include <functional>
#include <utility>

namespace memio::webext {

// Calls `on_readable` from the default main context whenever a descriptor is readable. Borrows the descriptor, so it is
// to be declared after its owner. May be destroyed from within the call. Within a main loop that the call itself runs
// nothing is called.
class FdSource {
 public:
  FdSource() noexcept = default;
  FdSource(int fd, std::function<void()> on_readable);
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

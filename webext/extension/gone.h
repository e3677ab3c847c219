// SPDX-License-Identifier: MIT
#pragma once

#include <glib-object.h>

#include <functional>
#include <utility>

namespace memio::webext {

// A GObject of somebody else's, until that is gone. Then `gone` is called, once.
template <class T>
class UntilGone {
 public:
  UntilGone(T* object, std::function<void()> gone) : object_(object), gone_(std::move(gone)) {
    g_object_weak_ref(G_OBJECT(object_), &UntilGone::on_gone, this);
  }
  ~UntilGone() {
    if (object_) g_object_weak_unref(G_OBJECT(object_), &UntilGone::on_gone, this);
  }
  UntilGone(const UntilGone&) = delete;
  UntilGone& operator=(const UntilGone&) = delete;

  // Null once it is gone.
  [[nodiscard]] T* get() const noexcept { return object_; }

 private:
  static void on_gone(gpointer data, GObject*) {
    auto* self = static_cast<UntilGone*>(data);
    self->object_ = nullptr;
    self->gone_();
  }

  T* object_;
  std::function<void()> gone_;
};

}  // namespace memio::webext

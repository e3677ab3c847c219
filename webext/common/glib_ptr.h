// SPDX-License-Identifier: MIT
#pragma once

#include <glib-object.h>

#include <memory>

namespace memio::webext {

// Owning pointers for what GLib and JavaScriptCore hand out "transfer full".
struct ObjectUnref {
  void operator()(gpointer object) const noexcept { g_object_unref(object); }
};
template <class T>
using ObjectPtr = std::unique_ptr<T, ObjectUnref>;

// One more owner of `object`.
template <class T>
[[nodiscard]] ObjectPtr<T> share(T* object) {
  return ObjectPtr<T>(static_cast<T*>(g_object_ref(object)));
}

struct Free {
  void operator()(gpointer memory) const noexcept { g_free(memory); }
};
using CharPtr = std::unique_ptr<char, Free>;

struct ErrorFree {
  void operator()(GError* error) const noexcept { g_error_free(error); }
};
using ErrorPtr = std::unique_ptr<GError, ErrorFree>;

struct VariantUnref {
  void operator()(GVariant* variant) const noexcept { g_variant_unref(variant); }
};
using VariantPtr = std::unique_ptr<GVariant, VariantUnref>;

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
// Where WebKit enters the extension, once in each web process.
#include <exception>

#include "extension.h"

extern "C" G_MODULE_EXPORT void MEMIO_EXTENSION_ENTRY(WebKitWebProcessExtension* extension, GVariant* user_data);

void MEMIO_EXTENSION_ENTRY(WebKitWebProcessExtension* extension, GVariant* user_data) {
  using memio::webext::Extension;
  try {
    auto* ours = new Extension(user_data);
    // It ends with WebKit's own object, which the web process keeps for good.
    g_object_set_data_full(G_OBJECT(extension), "memio-extension", ours,
                           [](gpointer data) { delete static_cast<Extension*>(data); });
    const auto cleared = +[](WebKitScriptWorld* world, WebKitWebPage* page, WebKitFrame* frame, gpointer data) {
      try {
        static_cast<Extension*>(data)->window_object_cleared(world, page, frame);
      } catch (const std::exception& error) {
        g_warning("memio: %s", error.what());
      }
    };
    g_signal_connect(webkit_script_world_get_default(), "window-object-cleared", G_CALLBACK(cleared), ours);
  } catch (const std::exception& error) {
    g_warning("memio: %s", error.what());
  }
}

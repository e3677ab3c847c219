// SPDX-License-Identifier: MIT
#pragma once

// What libmemio-webkit has for pages that were written for WebView2, as far as memio_webkit.cpp needs it.

#include "memio-webkit.h"
#include "webkit_app.h"

namespace memio::webext {

// Adds the signal MemioWebkit::web-message.
void add_web_message_signal(MemioWebkitClass* type);
// A frame (0: the main one) of the address `uri` sent a message: emits the signal, if it is JSON.
void web_message_came(MemioWebkit* self, WebKitWebView* view, guint64 frame, const char* json, const char* uri);
// Whether the view has been attached.
bool is_attached(WebKitWebView* view);

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#pragma once

// The web process's side of both WebKitGTK APIs under the newer one's names. MEMIO_WEBKIT_6 comes from the build.

#ifdef MEMIO_WEBKIT_6
#include <webkit/webkit-web-process-extension.h>
#define MEMIO_EXTENSION_ENTRY webkit_web_process_extension_initialize_with_user_data
#else
#include <webkit2/webkit-web-extension.h>
using WebKitWebProcessExtension = WebKitWebExtension;
#define MEMIO_EXTENSION_ENTRY webkit_web_extension_initialize_with_user_data
#endif

// SPDX-License-Identifier: MIT
#pragma once

// The application's side of both WebKitGTK APIs under the newer one's names. MEMIO_WEBKIT_6 comes from the build.

#ifdef MEMIO_WEBKIT_6
#include <webkit/webkit.h>
#define MEMIO_INITIALIZE_SIGNAL "initialize-web-process-extensions"
#else
#include <webkit2/webkit2.h>
#define MEMIO_INITIALIZE_SIGNAL "initialize-web-extensions"
#define webkit_web_context_set_web_process_extensions_directory webkit_web_context_set_web_extensions_directory
#define webkit_web_context_set_web_process_extensions_initialization_user_data \
  webkit_web_context_set_web_extensions_initialization_user_data
#endif

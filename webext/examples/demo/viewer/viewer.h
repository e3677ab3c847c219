// SPDX-License-Identifier: MIT
#pragma once

#include <memio-webkit.h>
#include <webkit/webkit.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "page_scheme.h"

namespace memio::demo {

struct ViewerOptions {
  int width = 1440;
  int height = 944;
  bool check = false;       // let the page try everything, judge it, and end
  std::string file;         // what the page is to upload then
  std::string file_sha256;  // and what must come back
  std::string screenshot;   // where to put a picture of the page then
  unsigned seconds = 90;    // for all of that
};

// A window with the demo's page.
class Viewer {
 public:
  Viewer(ViewerOptions options, PageScheme& pages) : options_(std::move(options)), pages_(pages) {}
  ~Viewer();
  Viewer(const Viewer&) = delete;
  Viewer& operator=(const Viewer&) = delete;

  // Shows the page until the window is closed or the check is done. Returns what main() returns.
  int run();

 private:
  bool attach();
  void create_view();
  void create_window();
  void begin_check();
  void on_message(const nlohmann::json& message);
  void on_report(const nlohmann::json& report);
  void on_snapshot(GAsyncResult* result);
  void click_upload();
  gboolean on_file_chooser(WebKitFileChooserRequest* request);
  void end(int code, const std::string& why = {});

  ViewerOptions options_;
  PageScheme& pages_;
  GMainLoop* loop_ = g_main_loop_new(nullptr, FALSE);
  MemioWebkit* memio_ = memio_webkit_new();
  WebKitWebContext* context_ = nullptr;
  WebKitWebView* view_ = nullptr;
  GtkWidget* window_ = nullptr;
  guint time_limit_ = 0;
  std::string stage_ = "the page to load";  // what is being waited for
  int exit_code_ = 0;
};

}  // namespace memio::demo

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/webkit_app.h"
#include "common/glib_ptr.h"
#include "memio-webkit.h"

namespace memio::test {

using Json = nlohmann::json;
using std::chrono_literals::operator""s;

// Runs the main loop until `condition` holds; false if it doesn't in time.
bool run_until(const std::function<bool()>& condition, std::chrono::milliseconds timeout = 20s);

// What an asynchronous piece of JavaScript comes to.
struct Outcome {
  bool done = false;
  Json value;  // what it returned; {"error": name, "message": ...} if it threw
};

// A window with one web view in a context of its own.
class Browser {
 public:
  using UseContext = std::function<void(WebKitWebContext*)>;
  // Attached to `memio`. `before_view` may change the context before it has a view; `attach_context`, if there is one,
  // stands for memio_webkit_attach_context().
  explicit Browser(MemioWebkit* memio, const UseContext& before_view = {}, const UseContext& attach_context = {});
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  // Loads a page and waits for it. Without a uri: an empty page of the address given as `base`.
  bool load_html(const std::string& base = "https://app.local/",
                 const std::string& html = "<!doctype html><title>t</title>");
  bool load_uri(const std::string& uri);
  bool reload();
  bool go_back();

  // Starts `body`, the body of an async function. The outcome is there when its `done` is set.
  std::shared_ptr<Outcome> start(const std::string& body);
  // Starts it and waits for the outcome.
  Json run(const std::string& body);

  // The web processes that this program has started, those of other views included.
  static std::vector<pid_t> web_processes();
  // How often they have memiod's memory mapped.
  static std::size_t memio_mappings();

  [[nodiscard]] WebKitWebView* view() const noexcept { return view_; }
  // How often a web process has ended unexpectedly: of this view, and of all that there have been.
  [[nodiscard]] int terminations() const noexcept { return terminations_; }
  [[nodiscard]] static int all_terminations() noexcept { return all_terminations_; }

 private:
  bool load(const std::function<void()>& begin);

  webext::ObjectPtr<WebKitWebContext> context_;
  WebKitWebView* view_ = nullptr;  // the window's
  GtkWidget* window_ = nullptr;
  int terminations_ = 0;
  inline static int all_terminations_ = 0;
  int finished_ = 0;
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>

#include "browser.h"

namespace memio::test {

// Pages with origins of their own, that can be loaded again, gone back to and framed, which those of
// Browser::load_html() cannot. Give serve() to a Browser. Must outlive it.
class Pages {
 public:
  // What "page://<address>" shows. All others, and those of the scheme "site", show a page that answers ask().
  void set(const std::string& address, std::string html) { pages_["page://" + address] = std::move(html); }
  // Frames, each of an HTML tag, around a page that can ask() in them (see ask()).
  void set_frames(const std::string& address, const std::string& tags);

  [[nodiscard]] std::function<void(WebKitWebContext*)> serve();
  [[nodiscard]] int served() const noexcept { return served_; }

 private:
  static void on_request(WebKitURISchemeRequest* request, gpointer data);
  std::map<std::string, std::string> pages_;
  int served_ = 0;
};

// JavaScript for a page of set_frames(): the outcome of `body`, an async function's, run in its frame with this id,
// which shows one of its own pages or one of `answering_page`.
std::string ask(const std::string& frame, const std::string& body);

// A page that answers ask().
extern const std::string answering_page;

}  // namespace memio::test

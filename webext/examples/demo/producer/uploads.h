// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "event_loop.h"
#include "memio/client.h"

namespace memio::demo {

// Takes what a page uploads: hashes each region that is published under demo/upload/ and publishes what it found
// to demo/upload-result, as JSON: {"name", "size", "sha256", "milliseconds"}, or {"name", "error"}.
//
// The bytes are hashed where the page put them.
class Uploads {
 public:
  static constexpr const char* pattern = "demo/upload/*";
  static constexpr const char* result_name = "demo/upload-result";

  // Creates the result's region and begins to watch. `watch_token` comes back from Client::dispatch when on_watch() is
  // to be called. Errors: as Client::create and watch.
  static Result<std::unique_ptr<Uploads>> create(Client& client, EventLoop& loop, Token watch_token);
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  void on_watch();

 private:
  Uploads(Client& client, EventLoop& loop, Region result, Watcher watcher)
      : client_(client), loop_(loop), result_(std::move(result)), watcher_(std::move(watcher)) {}
  void on_uploaded(const std::string& name);
  void hash(const std::string& name, Region region);
  void publish(const std::string& json);

  Client& client_;
  EventLoop& loop_;
  Region result_;
  Watcher watcher_;
};

}  // namespace memio::demo

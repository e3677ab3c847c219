// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "memio/message.h"
#include "support/process.h"

namespace memio::test {

// A program that uses memiod as a test tells it to, in a process of its own, so that it can be stopped and killed. What
// it is told, and how it answers, stands in actor.cpp.
class Actor {
 public:
  explicit Actor(const std::string& socket_path);

  // Has it do something and waits until that is done: what came of it, or {"error": name}.
  Json ask(const Json& command);
  // It closes nothing, but ends.
  void leave();
  void kill();
  void stop();
  void go_on();
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

 private:
  Actor(const std::string& socket_path, std::pair<UniqueFd, UniqueFd> sockets);

  UniqueFd socket_;
  Process process_;
  bool stopped_ = false;
};

}  // namespace memio::test

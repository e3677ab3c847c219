// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "memio/client.h"
#include "memio/unique_fd.h"
#include "support/process.h"

namespace memio::test {

// Listens for what a service tells systemd with sd_notify(3).
class Notifications {
 public:
  explicit Notifications(const std::string& path);
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Waits for a message that has `line` in it; false after 20 s.
  bool wait_for(const std::string& line);

 private:
  std::string path_;
  UniqueFd socket_;
};

// A memiod of the test's own, in a runtime directory of its own. Ready when constructed; told to end, and
// checked to have ended well, when destroyed.
class Daemon {
 public:
  Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  [[nodiscard]] std::string socket_path() const { return runtime_.path() + "/io.memio"; }
  [[nodiscard]] const std::string& runtime() const { return runtime_.path(); }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] Client connect() const;
  // SIGTERM, and its exit code.
  int stop();
  // SIGKILL.
  void kill();
  // Starts it again at the same path, after stop() or kill().
  void start();
  // Descriptors that it has open now.
  [[nodiscard]] std::size_t open_fds() const;

 private:
  TemporaryDirectory runtime_;
  std::optional<Process> process_;
};

// A test with a memiod.
class DaemonTest : public testing::Test {
 protected:
  Daemon daemon_;
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/notifications.h"
#include "support/process.h"

namespace memio::test {

// What systemd is to memiod, without its delays, so that memiod can end hundreds of times in a test: it owns the
// listening socket, keeps the descriptors that memiod stores, and starts memiod with both. tests/integration/systemd
// has the real one.
class Manager {
 public:
  // Each memiod has `environment` added to ours.
  explicit Manager(Process::Environment environment = {});
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  [[nodiscard]] std::string socket_path() const { return runtime_.path() + "/io.memio"; }
  [[nodiscard]] pid_t pid() const { return memiod_->pid(); }
  [[nodiscard]] bool runs() const noexcept { return memiod_.has_value(); }
  // Descriptors that it keeps.
  [[nodiscard]] std::size_t stored() const;

  // Throws if memiod does not become ready.
  void start();
  // False if memiod ends before it is ready.
  bool try_start();
  // SIGTERM, as `systemctl restart` begins; its exit code.
  int stop();
  // SIGKILL.
  void kill();
  // Takes what memiod has said. To be called often: as systemd, memiod does not wait for this.
  void pump();

 private:
  void take(Notifications::Message message);
  int end(int signal);
  [[nodiscard]] int run_memiod() const;

  Process::Environment environment_;
  TemporaryDirectory runtime_;
  UniqueFd socket_;
  Notifications notifications_{runtime_.path() + "/notify"};
  std::map<std::string, std::vector<UniqueFd>> stored_;
  std::optional<Process> memiod_;
  bool ready_ = false;
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "support/process.h"

namespace memio::test {

// A memiod of one's own, in a runtime directory of its own. Ready when constructed; killed when destroyed, if it still
// runs.
class Memiod {
 public:
  // `config` is what its configuration file says; it reads no other.
  explicit Memiod(const std::string& config = {}, Process::Environment environment = {});
  Memiod(const Memiod&) = delete;
  Memiod& operator=(const Memiod&) = delete;

  [[nodiscard]] std::string socket_path() const { return runtime_.path() + "/io.memio"; }
  [[nodiscard]] std::string config_path() const { return runtime_.path() + "/memiod.conf"; }
  [[nodiscard]] const std::string& runtime() const { return runtime_.path(); }
  [[nodiscard]] bool runs() const { return process_.has_value(); }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  // SIGTERM, and its exit code.
  int stop();
  // SIGKILL.
  void kill();
  // Starts it again at the same path, after stop() or kill().
  void start();

 private:
  Process::Environment environment_;
  TemporaryDirectory runtime_;
  std::optional<Process> process_;
};

// One at a path of the caller's that no manager runs, under which it could not hand over. It need not be ready yet.
Process start_unmanaged(const std::string& socket_path, const std::vector<std::string>& more = {},
                        Process::Environment environment = {});

}  // namespace memio::test

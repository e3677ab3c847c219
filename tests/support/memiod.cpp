// SPDX-License-Identifier: MIT
#include "support/memiod.h"

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "support/notifications.h"

namespace memio::test {

Memiod::Memiod(const std::string& config, Process::Environment environment) : environment_(std::move(environment)) {
  std::ofstream(config_path()) << config;
  start();
}

void Memiod::start() {
  const auto path = runtime_.path() + "/notify";
  ::unlink(path.c_str());
  Notifications notifications(path);
  auto environment = environment_;
  environment.emplace_back("NOTIFY_SOCKET", path);
  process_.emplace(Process::run(
      {MEMIOD_PATH, "--socket", socket_path(), "--config", config_path(), "--log-level", "warning"}, environment));
  if (!notifications.wait_for("READY=1")) throw std::runtime_error("memiod did not become ready");
}

int Memiod::stop() {
  process_->signal(SIGTERM);
  const int code = process_->wait();
  process_.reset();
  return code;
}

void Memiod::kill() {
  process_->signal(SIGKILL);
  process_->wait();
  process_.reset();
}

Process start_unmanaged(const std::string& socket_path, const std::vector<std::string>& more,
                        Process::Environment environment) {
  std::vector<std::string> command = {MEMIOD_PATH, "--socket", socket_path, "--log-level", "error"};
  command.insert(command.end(), more.begin(), more.end());
  environment.emplace_back("NOTIFY_SOCKET", "");
  return Process::run(command, environment);
}

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "memio/client.h"
#include "support/process.h"

namespace memio::test {

// memiod as a service of the `systemd --user` that runs beside the test, see with-systemd. Each test has a manager of
// its own.
class ServiceTest : public testing::Test {
 protected:
  // Starts the socket, with `drop_in` added to the service.
  void start(const std::string& drop_in = "");

  // What systemctl says; fails the test if it fails.
  static std::string systemctl(std::vector<std::string> arguments);
  // A property of the service, such as MainPID.
  static std::string property(const std::string& name) {
    return systemctl({"show", "--property", name, "--value", "memiod.service"});
  }
  static pid_t main_pid() { return std::stoi(property("MainPID")); }
  // Asks until it is so; false after 60 s.
  static bool becomes(const std::function<bool()>& is_so);
  static bool becomes(const std::string& name, const std::string& value) {
    return becomes([&] { return property(name) == value; });
  }
  // Waits until the manager keeps that many descriptors: three a region, and one of the ledger.
  static bool stores(std::size_t regions) { return becomes("NFileDescriptorStore", std::to_string(3 * regions + 1)); }
  // The signal ends memiod, and another is there.
  static void kill_and_wait(int signal = SIGKILL);

  static std::string home() { return ::getenv("HOME"); }
  static std::string socket_path() { return ::getenv("XDG_RUNTIME_DIR") + std::string("/memio/io.memio"); }
  static Client connect();
  // What memiod has logged that has this text.
  static std::string logged(const std::string& text);
};

}  // namespace memio::test

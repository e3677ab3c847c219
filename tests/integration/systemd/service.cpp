// SPDX-License-Identifier: MIT
#include "service.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "support/becomes.h"

namespace memio::test {

namespace {

std::string output_of(const std::vector<std::string>& command, int* code = nullptr) {
  auto process = Process::run(command, {}, true);
  auto text = process.read_all();
  const int status = process.wait();
  if (code) *code = status;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

void ServiceTest::start(const std::string& drop_in) {
  const auto folder = home() + "/.config/systemd/user/memiod.service.d";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/test.conf") << drop_in;
  systemctl({"daemon-reload"});
  systemctl({"start", "memiod.socket"});
}

std::string ServiceTest::systemctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"systemctl", "--user"});
  int code = 0;
  auto text = output_of(arguments, &code);
  EXPECT_EQ(code, 0) << testing::PrintToString(arguments);
  return text;
}

bool ServiceTest::becomes(const std::function<bool()>& is_so) { return test::becomes(is_so, std::chrono::seconds(60)); }

void ServiceTest::kill_and_wait(int signal) {
  const auto pid = main_pid();
  const auto restarts = std::stoi(property("NRestarts"));
  ASSERT_EQ(::kill(pid, signal), 0);
  ASSERT_TRUE(becomes("NRestarts", std::to_string(restarts + 1)));
  ASSERT_TRUE(becomes("ActiveState", "active"));
}

Client ServiceTest::connect() {
  auto client = Client::connect(socket_path());
  if (!client) throw std::runtime_error(client.error().text());
  return std::move(*client);
}

std::string ServiceTest::logged(const std::string& text) {
  return output_of({"journalctl", "--directory=/run/log/journal", "--output=cat", "--grep=" + text});
}

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#include "support/manager.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "memio/socket_path.h"

namespace memio::test {

namespace {

constexpr int first_passed = STDERR_FILENO + 1;

UniqueFd listen_at(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = socket_address(path).value();
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0)
    throw std::runtime_error("cannot listen at " + path);
  return socket;
}

std::optional<std::string> value_of(const std::string& text, const std::string& variable) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(variable + "=")) return line.substr(variable.size() + 1);
  return std::nullopt;
}

}  // namespace

Manager::Manager(Process::Environment environment)
    : environment_(std::move(environment)), socket_(listen_at(socket_path())) {
  start();
}

std::size_t Manager::stored() const {
  std::size_t count = 0;
  for (const auto& [name, fds] : stored_) count += fds.size();
  return count;
}

void Manager::start() {
  if (!try_start()) throw std::runtime_error("memiod did not become ready");
}

bool Manager::try_start() {
  constexpr int longest = 20'000;
  ready_ = false;
  memiod_.emplace(Process::fork([this] { return run_memiod(); }));
  const UniqueFd process = memiod_->pidfd();
  while (!ready_) {
    std::array<pollfd, 2> waiting = {{{notifications_.fd(), POLLIN, 0}, {process.get(), POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), longest) < 1) throw std::runtime_error("memiod does not become ready");
    pump();
    if (waiting[1].revents == 0) continue;
    memiod_->wait();
    memiod_.reset();
    pump();
    return false;
  }
  return true;
}

// In the child.
int Manager::run_memiod() const {
  std::vector<int> fds = {socket_.get()};
  std::string names = "io.memio";
  for (const auto& [name, stored] : stored_) {
    for (const auto& fd : stored) {
      fds.push_back(fd.get());
      names += ":" + name;
    }
  }
  // Out of the way first: the places may be taken by others of them.
  const int count = static_cast<int>(fds.size());
  for (int& fd : fds) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, first_passed + count);
  for (int i = 0; i < count; ++i)
    if (::dup2(fds[static_cast<std::size_t>(i)], first_passed + i) < 0) return 126;
  ::close_range(static_cast<unsigned>(first_passed + count), std::numeric_limits<unsigned>::max(), CLOSE_RANGE_CLOEXEC);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  ::setenv("NOTIFY_SOCKET", notifications_.path().c_str(), 1);
  for (const auto& [variable, value] : environment_) ::setenv(variable.c_str(), value.c_str(), 1);
  ::execl(MEMIOD_PATH, MEMIOD_PATH, "--log-level", "error", nullptr);
  return 127;
}

int Manager::stop() { return end(SIGTERM); }
void Manager::kill() { end(SIGKILL); }

int Manager::end(int signal) {
  memiod_->signal(signal);
  const int code = memiod_->wait();
  memiod_.reset();
  pump();  // what it said before counts
  return code;
}

void Manager::pump() {
  for (;;) {
    pollfd waiting{notifications_.fd(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) != 1) return;
    take(notifications_.receive());
  }
}

void Manager::take(Notifications::Message message) {
  if (message.text.find("READY=1") != std::string::npos) ready_ = true;
  const auto name = value_of(message.text, "FDNAME");
  if (!name) return;
  if (value_of(message.text, "FDSTOREREMOVE") == "1") stored_.erase(*name);
  if (value_of(message.text, "FDSTORE") != "1") return;
  auto& stored = stored_[*name];
  for (auto& fd : message.fds) stored.push_back(std::move(fd));
}

}  // namespace memio::test

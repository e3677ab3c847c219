// SPDX-License-Identifier: MIT
#include "support/daemon.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace memio::test {

Notifications::Notifications(const std::string& path) : path_(path) {
  socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot bind " + path);
}

bool Notifications::wait_for(const std::string& line) {
  constexpr int longest = 20'000;
  for (;;) {
    pollfd wanted{socket_.get(), POLLIN, 0};
    if (::poll(&wanted, 1, longest) != 1) return false;
    std::array<char, 4096> buffer;
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    const std::string text =
        "\n" + std::string(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))) + "\n";
    if (text.find("\n" + line) != std::string::npos) return true;
  }
}

Daemon::Daemon() { start(); }

void Daemon::start() {
  const auto path = runtime_.path() + "/notify";
  ::unlink(path.c_str());
  Notifications notifications(path);
  process_.emplace(
      Process::run({MEMIOD_PATH, "--socket", socket_path(), "--log-level", "warning"}, {{"NOTIFY_SOCKET", path}}));
  if (!notifications.wait_for("READY=1")) throw std::runtime_error("memiod did not become ready");
}

Daemon::~Daemon() {
  if (!process_) return;
  EXPECT_EQ(stop(), 0) << "memiod did not end well";
}

Client Daemon::connect() const {
  auto client = Client::connect(socket_path());
  if (!client) throw std::runtime_error(client.error().text());
  return std::move(*client);
}

int Daemon::stop() {
  process_->signal(SIGTERM);
  const int code = process_->wait();
  process_.reset();
  return code;
}

void Daemon::kill() {
  process_->signal(SIGKILL);
  process_->wait();
  process_.reset();
}

std::size_t Daemon::open_fds() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid()) + "/fd"))
    ++count;
  return count;
}

}  // namespace memio::test

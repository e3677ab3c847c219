// SPDX-License-Identifier: MIT
#include "support/daemon.h"

#include <unistd.h>

#include <stdexcept>

#include "support/process_use.h"

namespace memio::test {

Daemon::~Daemon() {
  if (!runs()) return;
  EXPECT_EQ(stop(), 0) << "memiod did not end well";
}

Client Daemon::connect() const {
  auto client = Client::connect(socket_path());
  if (!client) throw std::runtime_error(client.error().text());
  return std::move(*client);
}

std::size_t Daemon::open_fds() const { return use_of(pid()).descriptors; }

Process DaemonTest::start_leasing(const std::string& region) const {
  const Turnstile leased;
  auto child = Process::fork([&] {
    auto client = daemon_.connect();
    auto opened = client.open(region, Access::read);
    const auto snapshot = opened.value().read().value();
    leased.pass();
    ::pause();
    return 0;
  });
  leased.wait();
  return child;
}

}  // namespace memio::test

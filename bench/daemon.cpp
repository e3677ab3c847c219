// SPDX-License-Identifier: MIT
#include "daemon.h"

#include <unistd.h>

#include "must.h"

namespace memio::bench {

Daemon::Daemon()
    : process_(Process::run({MEMIOD_PATH, "--socket", directory_.path() + "/io.memio", "--log-level", "warning"})) {
  constexpr int tries = 1000;
  for (int i = 0; i < tries; ++i) {
    if (Client::connect(directory_.path() + "/io.memio")) return;
    ::usleep(10'000);
  }
  die("memiod does not answer");
}

Client Daemon::connect() const { return must(Client::connect(directory_.path() + "/io.memio")); }

}  // namespace memio::bench

// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <vector>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::broker {

// The descriptors that a memiod starts with: from systemd, or from the memiod that it takes over.
struct PassedFds {
  std::vector<UniqueFd> sockets;                        // that listen
  std::map<std::string, std::vector<UniqueFd>> stored;  // by the name that they were stored under
};

// Those that systemd passed (sd_listen_fds(3)). Error: system.
Result<PassedFds> take_passed_fds();

}  // namespace memio::broker

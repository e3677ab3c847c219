// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio {

enum class Blocking : bool { no, yes };

// A socket connected to memiod at `path`. A blocking one waits if memiod has more connections waiting than it takes.
// Error: system, saying what to do.
Result<UniqueFd> connect_socket(const std::string& path, Blocking blocking);

// So that one can wait by reading from it (Channel::wait_and_receive). Error: system.
Result<void> make_blocking(int socket) noexcept;

}  // namespace memio

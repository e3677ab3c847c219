// SPDX-License-Identifier: MIT
#pragma once

// How one memiod hands everything over to another, over a connection of io.memio: sockets, ledger and regions'
// descriptors go in answers of one TakeOver call, and a second one commits. PROTOCOL.md has the rules. Both sides wait
// for each other, for some seconds at most: the one that hands over must not change what it has handed over, and the
// other has nothing yet.

#include <string>
#include <utility>
#include <vector>

#include "passed_fds.h"

namespace memio::broker {

// The newest kind of hand-over that this memiod knows. The ledger has a version of its own.
inline constexpr std::uint64_t hand_over_version = 1;

// Descriptors, and what they are.
using Contents = std::vector<std::pair<std::string, std::vector<int>>>;

// Hands over to the caller at the other end of `socket`, and waits until it commits. If this fails nothing has changed.
// Errors: disconnected, timed_out, system, protocol_violation.
Result<void> hand_over(int socket, const Contents& contents);

// Takes everything over from the memiod that listens at `path`, which has ended its work when this returns. Errors:
// system, and what it answered.
Result<PassedFds> take_over(const std::string& path);

}  // namespace memio::broker

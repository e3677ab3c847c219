// SPDX-License-Identifier: MIT
#pragma once

// How one memiod hands everything over to another, over a connection of io.memio: sockets, ledger and regions'
// descriptors go in answers of one TakeOver call, and a second one commits, as soon as the caller can go on with all of
// it. PROTOCOL.md has the rules. The one that hands over stands still until then, for some seconds at most: it must not
// change what it has handed over.

#include <string>
#include <utility>
#include <vector>

#include "passed_fds.h"
#include "talk.h"

namespace memio::broker {

// The newest kind of hand-over that this memiod knows. The ledger has a version of its own.
inline constexpr std::uint64_t hand_over_version = 1;

// Descriptors, and what they are.
using Contents = std::vector<std::pair<std::string, std::vector<int>>>;

// Hands over to the caller at the other end of `socket`, and waits until it commits. If this fails nothing has changed.
// Errors: disconnected, timed_out, system, protocol_violation.
Result<void> hand_over(int socket, const Contents& contents);

// The other end of it: what another memiod has, and the talk with it.
class Predecessor {
 public:
  // Fetches everything from the memiod that listens at `path`. Errors: system, timed_out, and what it answered.
  static Result<Predecessor> ask(const std::string& path);

  // Once only.
  [[nodiscard]] PassedFds take_fds() noexcept { return std::move(passed_); }
  // Has the other end: when this returns it has done its work. Until then it may go on at any time, and nothing may be
  // changed that it would go on with. Waits as long as it is there. Errors: disconnected, system; then it goes on.
  Result<void> commit();

 private:
  explicit Predecessor(UniqueFd socket) : talk_(std::move(socket)) {}

  Talk talk_;
  PassedFds passed_;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <vector>

#include "broker.h"
#include "memio/protocol_json.h"

namespace memio::broker {

// What a method is called with, beside its parameters.
struct Context {
  Broker& broker;
  Session& session;
  bool more = false;
  bool oneway = false;
  std::vector<UniqueFd> fds;  // that came with the call
  bool fds_lost = false;      // more came, for which memiod had no room
};

inline tl::unexpected<Error> no_room_for_fds() {
  return fail(Errc::out_of_resources,
              "memiod has no room for the descriptors that came with the call; raise LimitNOFILE= of memiod.service");
}

// What a method gives back. One that replies for itself, later or many times, gives nothing.
struct Answer {
  std::optional<JsonText> parameters{};
  std::vector<UniqueFd> fds{};
};

}  // namespace memio::broker

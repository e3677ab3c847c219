// SPDX-License-Identifier: MIT
#include "support/crowd.h"

#include <algorithm>
#include <stdexcept>

#include "support/process.h"

namespace memio::test {

std::uint64_t room_for_regions(std::uint64_t wanted, std::uint64_t sessions) {
  constexpr std::uint64_t of_region = 3;   // region, lease table, doorbell
  constexpr std::uint64_t of_session = 2;  // socket, pidfd
  constexpr std::uint64_t others = 500;
  const auto beside = of_session * sessions + others;
  const auto allowed = raise_descriptor_limit(of_region * wanted + beside);
  return allowed > beside ? std::min(wanted, (allowed - beside) / of_region) : 0;
}

Crowd::Crowd(const std::string& socket_path, std::uint64_t sessions, std::uint64_t regions_each) {
  for (std::uint64_t i = 0; i < sessions; ++i) {
    auto& session = sessions_.emplace_back(socket_path);
    for (std::uint64_t each = 0; each < regions_each; ++each) {
      const auto reply = session.ask(R"({"method":"io.memio.Create","parameters":{"name":"region)" +
                                     std::to_string(i * regions_each + each) + R"(","capacity":64}})");
      if (!reply || !reply->error.empty())
        throw std::runtime_error("no region was made: " + (reply ? reply->parameters.dump() : "the connection ended"));
    }
  }
}

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#include "known_users.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

namespace memio::broker {

KnownUsers::KnownUsers(std::string_view uid_map) {
  std::istringstream lines{std::string(uid_map)};
  Range range{};
  std::uint64_t outside = 0;
  while (lines >> range.first >> outside >> range.count) ranges_.push_back(range);
}

KnownUsers KnownUsers::of_this_process() {
  std::ifstream file("/proc/self/uid_map");
  return KnownUsers(std::string(std::istreambuf_iterator<char>(file), {}));
}

bool KnownUsers::contains(uid_t uid) const noexcept {
  return std::ranges::any_of(
      ranges_, [uid](const Range& range) { return uid >= range.first && uid - range.first < range.count; });
}

Result<void> KnownUsers::check(const Policy& policy) const {
  for (const auto& [uid, grants] : policy)
    if (!contains(uid))
      return fail(
          Errc::invalid_parameter,
          "policy." + std::to_string(uid) +
              " of memiod.conf cannot be kept: memiod runs in a user namespace, "
              "where the kernel does not tell it user " +
              std::to_string(uid) +
              " from others. Take it out of its own with a drop-in for memiod.service that says PrivateUsers=no "
              "in [Service] (systemctl --user edit memiod.service), or remove policy." +
              std::to_string(uid));
  return {};
}

}  // namespace memio::broker

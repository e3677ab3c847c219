// SPDX-License-Identifier: MIT
#pragma once

// Which users this process can tell apart. In a user namespace, such as PrivateUsers= of a systemd unit makes, the
// kernel says of all who are not mapped into it that they are the same one, nobody (65534): in SO_PEERCRED, in /proc
// and wherever else. So a policy for one of them would never count, and one for nobody would count for all of them.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config.h"

namespace memio::broker {

class KnownUsers {
 public:
  // What a /proc/PID/uid_map says.
  explicit KnownUsers(std::string_view uid_map);
  // Those of this process. Where there is no /proc, none.
  static KnownUsers of_this_process();

  [[nodiscard]] bool contains(uid_t uid) const noexcept;
  // Whether each user that a policy names is one of them. Error: invalid_parameter, saying which is not and what to do.
  [[nodiscard]] Result<void> check(const Policy& policy) const;

 private:
  struct Range {
    std::uint64_t first;
    std::uint64_t count;
  };
  std::vector<Range> ranges_;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
// Random text as a configuration file. What is refused is refused with a place in the text and a reason; what is
// accepted is within the bounds that memiod.conf(5) gives.

#include <algorithm>
#include <string>

#include "config.h"
#include "fuzz.h"
#include "memio/region_name.h"

using memio::fuzz::require;
using namespace memio::broker;  // NOLINT(google-build-using-namespace)

namespace {

void require_place(const std::string& message, std::string_view text) {
  require(message.starts_with("f:"));
  std::size_t end = 0;
  const auto line = std::stoul(message.substr(2), &end);
  const auto column = std::stoul(message.substr(3 + end));
  const auto lines = 1 + static_cast<std::size_t>(std::ranges::count(text, '\n'));
  require(line >= 1 && line <= lines && column >= 1 && column <= text.size() + 1);
  require(message.size() > message.find(": ") + 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Config config;
  if (const auto read = read_config(text, "f", config); !read) {
    require_place(read.error().message, text);
    require(config.policy.empty() && config.socket_mode == 0600);
    return 0;
  }
  for (const auto& [uid, grants] : config.policy)
    for (const auto& grant : grants) require(memio::check_pattern(grant.pattern).has_value());
  for (const auto* quota : {&config.limits.user, &config.limits.connection, &config.limits.scoped})
    require(quota->fds >= 3 && quota->messages_per_second >= 1 && quota->queued_bytes >= 65536);
  require((config.socket_mode & ~0666U) == 0 && (config.socket_mode & 0600U) == 0600U);
  // The same text again changes nothing.
  Config again = config;
  require(read_config(text, "f", again).has_value() && again.policy.size() == config.policy.size());
  return 0;
}

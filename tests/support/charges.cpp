// SPDX-License-Identifier: MIT
#include "support/charges.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace memio::test {

namespace {

constexpr std::string_view prefix = "memio_";
constexpr std::string_view of_user = "memio_user_";
constexpr std::string_view limit_of_user = "memio_user_limit_";
constexpr std::array<std::string_view, 5> of_all = {"memio_regions", "memio_sessions", "memio_commands",
                                                    "memio_calls_under_way", "memio_listeners"};

bool is_charge(std::string_view name) {
  return (name.starts_with(of_user) && !name.starts_with(limit_of_user)) || std::ranges::count(of_all, name) > 0;
}

}  // namespace

Charges charges_by(Client& asker) {
  const auto families = asker.metrics();
  if (!families) throw std::runtime_error("no metrics: " + families.error().text());
  Charges charges;
  for (const auto& family : *families) {
    if (!is_charge(family.name)) continue;
    for (const auto& sample : family.samples)
      if (sample.value != 0) charges[family.name.substr(prefix.size())] += sample.value;
  }
  return charges;
}

}  // namespace memio::test

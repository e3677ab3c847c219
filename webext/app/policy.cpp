// SPDX-License-Identifier: MIT
#include "policy.h"

#include "memio/region_name.h"

namespace memio::webext {

Result<void> Policy::allow(std::string_view origins, std::string_view names, std::vector<protocol::Right> rights) {
  auto pattern = OriginPattern::parse(origins);
  if (!pattern) return fail(std::move(pattern.error()));
  if (auto checked = check_pattern(names); !checked) return checked;
  entries_.push_back({std::move(*pattern), {std::string(names), std::move(rights)}});
  return {};
}

std::vector<protocol::Grant> Policy::grants_of(const std::optional<Origin>& origin) const {
  std::vector<protocol::Grant> grants;
  if (!origin) return grants;
  for (const auto& entry : entries_)
    if (entry.origins.matches(*origin)) grants.push_back(entry.grant);
  return grants;
}

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#include "grants.h"

#include <algorithm>

#include "memio/region_name.h"

namespace memio::broker {

Result<Grants> Grants::narrowed(std::vector<Grant> grants) const {
  for (const auto& grant : grants)
    if (auto checked = check_pattern(grant.pattern); !checked) return fail(std::move(checked.error()));
  Grants result;
  result.above_ = std::make_shared<const Grants>(*this);
  result.grants_ = std::move(grants);
  result.everything_ = false;
  return result;
}

bool Grants::allows(std::string_view name, Right right) const noexcept {
  if (above_ && !above_->allows(name, right)) return false;
  return everything_ || std::ranges::any_of(grants_, [&](const Grant& grant) {
           return std::ranges::find(grant.rights, right) != grant.rights.end() && matches(grant.pattern, name);
         });
}

bool Grants::knows(std::string_view name) const noexcept {
  constexpr Right of_regions[] = {Right::read, Right::write, Right::create, Right::remove, Right::watch};
  return std::ranges::any_of(of_regions, [&](Right right) { return allows(name, right); });
}

}  // namespace memio::broker

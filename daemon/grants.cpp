// SPDX-License-Identifier: MIT
#include "grants.h"

#include "memio/region_name.h"

namespace memio::broker {

Result<Grants> Grants::narrowed(const std::vector<Grant>& grants) const {
  Grants result;
  result.above_ = std::make_shared<const Grants>(*this);
  result.everything_ = false;
  for (const auto& grant : grants) {
    if (auto checked = check_pattern(grant.pattern); !checked) return fail(std::move(checked.error()));
    Rights rights = 0;
    for (const auto right : grant.rights) rights |= bit(right);
    result.grants_.push_back({grant.pattern, rights});
  }
  return result;
}

// Those of the wanted ones that it has. Each pattern is looked at once at most, however many rights are asked for.
Grants::Rights Grants::rights_on(std::string_view name, Rights wanted) const noexcept {
  if (above_) wanted = above_->rights_on(name, wanted);
  if (everything_) return wanted;
  Rights found = 0;
  for (const auto& [pattern, rights] : grants_) {
    if (found == wanted) break;
    if ((rights & wanted & ~found) != 0 && matches(pattern, name)) found |= rights & wanted;
  }
  return found;
}

bool Grants::allows(std::string_view name, Right right) const noexcept { return rights_on(name, bit(right)) != 0; }

bool Grants::knows(std::string_view name) const noexcept {
  constexpr auto of_regions =
      bit(Right::read) | bit(Right::write) | bit(Right::create) | bit(Right::remove) | bit(Right::watch);
  return rights_on(name, of_regions) != 0;
}

}  // namespace memio::broker

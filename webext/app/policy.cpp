// SPDX-License-Identifier: MIT
#include "policy.h"

#include <algorithm>
#include <iterator>

#include "memio/region_name.h"

namespace memio::webext {

namespace {

Result<std::vector<OriginPattern>> one_pattern(std::string_view text) {
  auto pattern = OriginPattern::parse(text);
  if (!pattern) return fail(std::move(pattern.error()));
  return std::vector{std::move(*pattern)};
}

Result<Rule> granting(FrameRule frames, std::string_view names, std::vector<protocol::Right> rights) {
  if (auto checked = check_pattern(names); !checked) return fail(std::move(checked.error()));
  return Rule{std::move(frames), {{std::string(names), std::move(rights)}}, {}};
}

}  // namespace

Result<void> Policy::allow(std::string_view origins, std::string_view names, std::vector<protocol::Right> rights) {
  auto pattern = one_pattern(origins);
  if (!pattern) return fail(std::move(pattern.error()));
  auto rule = granting({std::move(*pattern), Frames::main, {}}, names, std::move(rights));
  if (!rule) return fail(std::move(rule.error()));
  rules_.push_back(std::move(*rule));
  return {};
}

Result<void> Policy::allow_inside(std::string_view within, std::string_view origins, std::string_view names,
                                  std::vector<protocol::Right> rights) {
  auto pages = one_pattern(within);
  if (!pages) return fail(std::move(pages.error()));
  auto pattern = one_pattern(origins);
  if (!pattern) return fail(std::move(pattern.error()));
  auto rule = granting({std::move(*pattern), Frames::inside, std::move(*pages)}, names, std::move(rights));
  if (!rule) return fail(std::move(rule.error()));
  rules_.push_back(std::move(*rule));
  return {};
}

Result<void> Policy::enable(std::string_view origins, std::string_view option) {
  auto pattern = one_pattern(origins);
  if (!pattern) return fail(std::move(pattern.error()));
  Rule rule{{std::move(*pattern), Frames::all, *one_pattern("*")}, {}, {}};
  if (option == "workers")
    rule.options.workers = true;
  else if (is_compatibility_layer(option))
    rule.options.compatibility.emplace_back(option);
  else
    return fail(Errc::invalid_parameter, "there is no option \"" + std::string(option) + "\"; there are workers, " +
                                             compatibility_layers_text());
  rules_.push_back(std::move(rule));
  return {};
}

void Policy::add(std::vector<Rule> rules) { std::ranges::move(rules, std::back_inserter(rules_)); }

std::vector<protocol::Grant> Policy::grants_of(const FrameAddress& frame) const {
  std::vector<protocol::Grant> grants;
  for (const auto& rule : rules_)
    if (rule.frames.matches(frame)) std::ranges::copy(rule.grants, std::back_inserter(grants));
  return grants;
}

bool Policy::has_layer(const FrameAddress& frame, std::string_view name) const {
  return !grants_of(frame).empty() && std::ranges::any_of(rules_, [&](const Rule& rule) {
    return std::ranges::count(rule.options.compatibility, name) != 0 && rule.frames.matches(frame);
  });
}

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include "../common/frame_rule.h"
#include "memio/protocol.h"

namespace memio::webext {

// What some frames may do, and what is turned on for them. A rule without grants only turns something on.
struct Rule {
  FrameRule frames;
  std::vector<protocol::Grant> grants;
  DocumentOptions options;
};

// Which frames of which pages may do what. Nothing, at first.
class Policy {
 public:
  // Main frames of `origins` may do this.
  // Errors: invalid_pattern, of origins or of names.
  Result<void> allow(std::string_view origins, std::string_view names, std::vector<protocol::Right> rights);
  // Frames of `origins` inside pages of `within` may do this.
  Result<void> allow_inside(std::string_view within, std::string_view origins, std::string_view names,
                            std::vector<protocol::Right> rights);
  // Turns an option on for all frames of `origins` that have grants: a compatibility layer's name, or "workers".
  // Errors: invalid_pattern; invalid_parameter if there is no such option.
  Result<void> enable(std::string_view origins, std::string_view option);
  void add(std::vector<Rule> rules);

  // All that the rules for this frame grant.
  [[nodiscard]] std::vector<protocol::Grant> grants_of(const FrameAddress& frame) const;
  // Whether a compatibility layer is on for this frame, and it is granted anything.
  [[nodiscard]] bool has_layer(const FrameAddress& frame, std::string_view name) const;
  [[nodiscard]] const std::vector<Rule>& rules() const noexcept { return rules_; }

 private:
  std::vector<Rule> rules_;
};

}  // namespace memio::webext

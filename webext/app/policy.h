// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include "../common/origin.h"
#include "memio/protocol.h"

namespace memio::webext {

// Which pages may do what. Nothing, at first.
class Policy {
 public:
  // Errors: invalid_pattern, of origins or of names.
  Result<void> allow(std::string_view origins, std::string_view names, std::vector<protocol::Right> rights);

  // All that pages of an origin may do; nothing for what has no origin.
  [[nodiscard]] std::vector<protocol::Grant> grants_of(const std::optional<Origin>& origin) const;

  struct Entry {
    OriginPattern origins;
    protocol::Grant grant;
  };
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace memio::webext

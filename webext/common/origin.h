// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "memio/result.h"

namespace memio::webext {

// Where a page comes from: what the web's security rests on. A page of a file has the scheme "file" and no host.
struct Origin {
  std::string scheme;  // lower case
  std::string host;    // lower case
  int port = 0;        // the scheme's own one if the URI names none, or 0 if it has none

  // The origin of a page with this URI; none for those that have no origin of their own, such as about:blank and data:.
  static std::optional<Origin> of_uri(const char* uri);

  bool operator==(const Origin&) const = default;
};

// Which origins a grant is for: "https://app.local", "https://*.example.org:8443" (any host below it, not itself),
// "https://*", "app://*:*" (any port), "file://", or "*" for every page.
class OriginPattern {
 public:
  // Error: invalid_pattern, saying what is wrong and how patterns look.
  static Result<OriginPattern> parse(std::string_view text);

  [[nodiscard]] bool matches(const Origin& origin) const noexcept;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  bool any_ = false;
  std::string scheme_;
  std::string host_;         // "*": any; "*.x": below x
  std::optional<int> port_;  // none: any
};

}  // namespace memio::webext

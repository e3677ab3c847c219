// SPDX-License-Identifier: MIT
#include "memio/region_name.h"

#include <array>
#include <string>

namespace memio {

namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// One byte as a person can read it, whatever it is.
std::string printable(char c) {
  if (c > 0x20 && c < 0x7f) return std::string("'") + c + "'";
  constexpr std::string_view digits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15];
}

// The rule that `text` breaks, or an empty string. Stars are allowed if `stars` is.
std::string broken_rule(std::string_view text, bool stars) {
  if (text.empty()) return "it is empty";
  if (text.size() > max_name_length) return "it has more than " + std::to_string(max_name_length) + " characters";
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != '/') {
      if (!is_name_character(text[i]) && !(stars && text[i] == '*'))
        return printable(text[i]) + " at position " + std::to_string(i) + " is not one of A-Z a-z 0-9 . _ - /" +
               (stars ? " *" : "");
      continue;
    }
    const auto component = text.substr(start, i - start);
    if (component.empty()) return "a component between '/' is empty";
    if (component == "." || component == "..") return "a component is '" + std::string(component) + "'";
    start = i + 1;
  }
  return {};
}

Result<void> check(std::string_view text, bool stars, Errc code) {
  const auto rule = broken_rule(text, stars);
  if (rule.empty()) return {};
  return fail(code, std::string(stars ? "not a name pattern: " : "not a name: ") + rule);
}

}  // namespace

Result<void> check_name(std::string_view name) { return check(name, false, Errc::invalid_name); }

Result<void> check_pattern(std::string_view pattern) { return check(pattern, true, Errc::invalid_pattern); }

bool matches(std::string_view pattern, std::string_view name) noexcept {
  // The set of prefixes of `name` that the pattern so far can match: one bit a prefix length, so no pattern, however
  // many stars it has, makes this backtrack.
  if (name.size() > max_name_length) return false;
  std::array<bool, max_name_length + 1> reach{};
  reach[0] = true;
  for (std::size_t p = 0; p < pattern.size(); ++p) {
    if (pattern[p] == '*') {
      const bool crosses = p + 1 < pattern.size() && pattern[p + 1] == '*';
      if (crosses) ++p;
      for (std::size_t n = 0; n < name.size(); ++n)
        if (reach[n] && (crosses || name[n] != '/')) reach[n + 1] = true;
    } else {
      for (std::size_t n = name.size(); n > 0; --n) reach[n] = reach[n - 1] && name[n - 1] == pattern[p];
      reach[0] = false;
    }
  }
  return reach[name.size()];
}

}  // namespace memio

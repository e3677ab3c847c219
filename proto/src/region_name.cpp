// SPDX-License-Identifier: MIT
#include "memio/region_name.h"

#include <algorithm>
#include <array>
#include <cstdint>
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

// A set of lengths of prefixes of a name, which has max_name_length characters at most.
class Lengths {
 public:
  void set(std::size_t length) noexcept { words_[length / 64] |= std::uint64_t{1} << (length % 64); }
  [[nodiscard]] bool test(std::size_t length) const noexcept { return (words_[length / 64] >> (length % 64) & 1) != 0; }
  [[nodiscard]] bool any() const noexcept {
    return std::ranges::any_of(words_, [](std::uint64_t word) { return word != 0; });
  }
  [[nodiscard]] Lengths operator&(const Lengths& other) const noexcept {
    Lengths both = *this;
    for (std::size_t i = 0; i < words; ++i) both.words_[i] &= other.words_[i];
    return both;
  }
  [[nodiscard]] Lengths one_longer() const noexcept {
    Lengths longer;
    for (std::size_t i = 0; i < words; ++i)
      longer.words_[i] = words_[i] << 1 | (i > 0 ? words_[i - 1] >> 63 : std::uint64_t{0});
    return longer;
  }
  // With each length also all that are reached from it by going on over `places`: the carries of an addition run through
  // them.
  [[nodiscard]] Lengths filled(const Lengths& places) const noexcept {
    Lengths filled;
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < words; ++i) {
      const auto begin = words_[i] & places.words_[i];
      const auto sum = places.words_[i] + begin;
      const auto carried = sum + carry;
      carry = static_cast<std::uint64_t>(sum < begin || carried < sum);
      filled.words_[i] = words_[i] | (carried ^ places.words_[i]);
    }
    return filled;
  }

 private:
  static constexpr std::size_t words = (max_name_length + 64) / 64;
  std::array<std::uint64_t, words> words_{};
};

// Where in a name each character is: length n stands for the character that follows the first n.
class Places {
 public:
  explicit Places(std::string_view name) noexcept {
    for (std::size_t n = 0; n < name.size(); ++n) {
      of_[index(name[n])].set(n);
      all_.set(n);
      if (name[n] != '/') within_components_.set(n);
    }
  }
  [[nodiscard]] const Lengths& of(char c) const noexcept { return of_[index(c)]; }
  [[nodiscard]] const Lengths& all() const noexcept { return all_; }
  [[nodiscard]] const Lengths& within_components() const noexcept { return within_components_; }

 private:
  static std::size_t index(char c) noexcept { return static_cast<unsigned char>(c); }

  std::array<Lengths, 256> of_{};
  Lengths all_;
  Lengths within_components_;
};

}  // namespace

Result<void> check_name(std::string_view name) { return check(name, false, Errc::invalid_name); }

Result<void> check_pattern(std::string_view pattern) { return check(pattern, true, Errc::invalid_pattern); }

bool matches(std::string_view pattern, std::string_view name) noexcept {
  if (name.size() > max_name_length) return false;
  // Most patterns say no in their first characters.
  const auto literal = std::min(pattern.find('*'), pattern.size());
  if (pattern.substr(0, literal) != name.substr(0, literal)) return false;
  if (literal == pattern.size()) return literal == name.size();
  pattern.remove_prefix(literal);
  name.remove_prefix(literal);
  if (pattern == "**") return true;
  if (pattern == "*") return name.find('/') == name.npos;
  const Places places(name);
  // The lengths of those prefixes of `name` that the pattern so far can match: all at once, so no pattern, however many
  // stars it has, makes this backtrack.
  Lengths reached;
  reached.set(0);
  for (std::size_t p = 0; p < pattern.size() && reached.any(); ++p) {
    if (pattern[p] != '*') {
      reached = (reached & places.of(pattern[p])).one_longer();
    } else if (p + 1 < pattern.size() && pattern[p + 1] == '*') {
      ++p;
      reached = reached.filled(places.all());
    } else {
      reached = reached.filled(places.within_components());
    }
  }
  return reached.test(name.size());
}

}  // namespace memio

// SPDX-License-Identifier: MIT
#include "memio/json_scanner.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "memio/message.h"

namespace memio {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Few are compared with each other; of many that would take too long.
constexpr std::size_t few = 8;

}  // namespace

void JsonScanner::skip_blanks() noexcept {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
    ++at_;
}

bool JsonScanner::take(char c) noexcept {
  if (at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

bool JsonScanner::take_word(std::string_view word) noexcept {
  if (text_.substr(at_, word.size()) != word) return refuse();
  at_ += word.size();
  return true;
}

std::optional<std::string_view> JsonScanner::take_value() {
  skip_blanks();
  const auto begin = at_;
  if (!skip_value()) return std::nullopt;
  const auto value = text_.substr(begin, at_ - begin);
  skip_blanks();
  return value;
}

bool JsonScanner::at_end() {
  skip_blanks();
  return !failed_ && at_ == text_.size();
}

bool JsonScanner::enter_object() {
  skip_blanks();
  first_member_ = true;
  if (depth_ == max_nesting || !take('{')) return refuse();
  ++depth_;
  return true;
}

std::optional<std::string_view> JsonScanner::next_member() {
  if (failed_) return std::nullopt;
  skip_blanks();
  if (take('}')) {
    --depth_;
    if (!is_each_once(0)) refuse();
    names_.clear();
    return std::nullopt;
  }
  if (!std::exchange(first_member_, false)) {
    if (!take(',')) refuse();
    skip_blanks();
  }
  const auto begin = at_;
  if (failed_ || !skip_string()) return std::nullopt;
  note_name(begin);
  const auto name = text_.substr(begin + 1, at_ - begin - 2);
  skip_blanks();
  if (!take(':')) {
    refuse();
    return std::nullopt;
  }
  return name;
}

bool JsonScanner::skip_value() {
  if (at_ >= text_.size()) return refuse();
  switch (text_[at_]) {
    case '{': return skip_object();
    case '[': return skip_array();
    case '"': return skip_string();
    case 't': return take_word("true");
    case 'f': return take_word("false");
    case 'n': return take_word("null");
    default: return skip_number();
  }
}

bool JsonScanner::skip_object() {
  if (depth_ == max_nesting) return refuse();
  ++depth_;
  ++at_;
  const auto first_name = names_.size();
  skip_blanks();
  for (bool first = true; !take('}'); first = false) {
    if (!first) {
      if (!take(',')) return refuse();
      skip_blanks();
    }
    const auto begin = at_;
    if (at_ >= text_.size() || text_[at_] != '"' || !skip_string()) return refuse();
    note_name(begin);
    skip_blanks();
    if (!take(':')) return refuse();
    skip_blanks();
    if (!skip_value()) return false;
    skip_blanks();
  }
  --depth_;
  if (!is_each_once(first_name)) return refuse();
  names_.resize(first_name);
  return true;
}

bool JsonScanner::skip_array() {
  if (depth_ == max_nesting) return refuse();
  ++depth_;
  ++at_;
  skip_blanks();
  for (bool first = true; !take(']'); first = false) {
    if (!first) {
      if (!take(',')) return refuse();
      skip_blanks();
    }
    if (!skip_value()) return false;
    skip_blanks();
  }
  --depth_;
  return true;
}

bool JsonScanner::skip_number() {
  const auto begin = at_;
  take('-');
  if (!take('0')) {
    if (at_ >= text_.size() || !is_digit(text_[at_])) return refuse();
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }
  constexpr std::size_t always_finite = 300;  // digits
  bool may_be_infinite = at_ - begin > always_finite;
  if (take('.')) {
    if (at_ >= text_.size() || !is_digit(text_[at_])) return refuse();
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }
  if (take('e') || take('E')) {
    may_be_infinite = true;
    if (!take('+')) take('-');
    if (at_ >= text_.size() || !is_digit(text_[at_])) return refuse();
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }
  if (!may_be_infinite) return true;
  return std::isfinite(std::strtod(std::string(text_.substr(begin, at_ - begin)).c_str(), nullptr)) || refuse();
}

bool JsonScanner::skip_string() {
  if (!take('"')) return refuse();
  had_escape_ = false;
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c == '\\') {
      had_escape_ = true;
      if (!skip_escape()) return refuse();
    } else if (c < 0x20) {
      return refuse();
    } else if (c < 0x80) {
      ++at_;
    } else if (!skip_utf8()) {
      return refuse();
    }
  }
  return refuse();
}

// The code unit of "\uXXXX", of which the first two characters have been taken.
std::optional<unsigned> JsonScanner::take_hex() noexcept {
  unsigned value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    if (at_ >= text_.size()) return std::nullopt;
    const char c = text_[at_];
    const char lower = static_cast<char>(c | 0x20);
    if (is_digit(c))
      value = value << 4 | static_cast<unsigned>(c - '0');
    else if (lower >= 'a' && lower <= 'f')
      value = value << 4 | static_cast<unsigned>(lower - 'a' + 10);
    else
      return std::nullopt;
  }
  return value;
}

bool JsonScanner::skip_escape() {
  ++at_;
  if (at_ >= text_.size()) return false;
  const char c = text_[at_++];
  if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
  const auto unit = take_hex();
  if (!unit) return false;
  if (*unit < 0xd800 || *unit > 0xdfff) return true;
  // The two halves of what one unit is too small for; neither stands alone.
  if (*unit > 0xdbff || !take('\\') || !take('u')) return false;
  const auto low = take_hex();
  return low && *low >= 0xdc00 && *low <= 0xdfff;
}

// RFC 3629: no longer than needed, no surrogates, nothing beyond U+10FFFF.
bool JsonScanner::skip_utf8() noexcept {
  const auto byte = [&](std::size_t i) {
    return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : static_cast<unsigned char>(0);
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const auto first = byte(0);
  if (first >= 0xc2 && first <= 0xdf) {
    if (!continues(1)) return false;
    at_ += 2;
    return true;
  }
  if (first >= 0xe0 && first <= 0xef) {
    if (!continues(1) || !continues(2) || (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f))
      return false;
    at_ += 3;
    return true;
  }
  if (first < 0xf0 || first > 0xf4 || !continues(1) || !continues(2) || !continues(3)) return false;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return false;
  at_ += 4;
  return true;
}

void JsonScanner::note_name(std::size_t begin) {
  const auto quoted = text_.substr(begin, at_ - begin);
  if (!had_escape_) return names_.push_back(quoted.substr(1, quoted.size() - 2));
  names_.emplace_back(without_escapes_.emplace_back(Json::parse(quoted).get<std::string>()));
}

bool JsonScanner::is_each_once(std::size_t first_name) {
  const auto begin = names_.begin() + static_cast<std::ptrdiff_t>(first_name);
  if (names_.size() - first_name > few) {
    std::sort(begin, names_.end());
    return std::adjacent_find(begin, names_.end()) == names_.end();
  }
  for (auto i = begin; i != names_.end(); ++i)
    if (std::find(i + 1, names_.end(), *i) != names_.end()) return false;
  return true;
}

bool is_json(std::string_view text) {
  JsonScanner scanner(text);
  return scanner.take_value() && scanner.at_end();
}

}  // namespace memio

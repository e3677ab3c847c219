// SPDX-License-Identifier: MIT
#include "memio/strict_json.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>
#include <vector>

namespace memio {

namespace {

unsigned nesting(std::string_view text) {
  unsigned depth = 0;
  unsigned deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

// Finds a member that an object has twice, while the text is parsed. The parser itself would keep the last one and say
// nothing, and the next program to look at the message might keep the first.
class DuplicateFinder {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start)
      open_.emplace_back();
    else if (event == Json::parse_event_t::object_end)
      open_.pop_back();
    else if (event == Json::parse_event_t::key && duplicate_.empty() &&
             !open_.back().insert(parsed.get_ref<const std::string&>()).second)
      duplicate_ = "'" + parsed.get_ref<const std::string&>() + "'";
    return true;
  }
  // The member's name in quotes, or an empty string.
  [[nodiscard]] const std::string& duplicate() const noexcept { return duplicate_; }

 private:
  std::vector<std::set<std::string>> open_;  // the members so far of each object that is not closed yet
  std::string duplicate_;
};

// What the parser's own message says that it expected, if it says so.
std::string expectation(std::string_view message) {
  constexpr std::string_view mark = "; expected ";
  const auto at = message.rfind(mark);
  return at == message.npos ? std::string() : std::string(message.substr(at + mark.size()));
}

}  // namespace

tl::expected<Json, JsonProblem> parse_strictly(std::string_view text) {
  const auto problem = [](std::string what, std::size_t byte = 0, std::string expected = {}) {
    return tl::unexpected<JsonProblem>({std::move(what), byte, std::move(expected)});
  };
  if (nesting(text) > max_nesting) return problem("nests objects more than " + std::to_string(max_nesting) + " deep");
  try {
    DuplicateFinder finder;
    auto json = Json::parse(text, std::ref(finder));
    if (!finder.duplicate().empty()) return problem("has the member " + finder.duplicate() + " twice");
    return json;
  } catch (const Json::parse_error& error) {
    return problem("is not JSON", error.byte, expectation(error.what()));
  } catch (const Json::out_of_range&) {
    return problem("has a number that is too large to be read");
  }
}

TextPlace find_place(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  const auto line_start = before.rfind('\n');
  return {.line = 1 + static_cast<std::size_t>(std::ranges::count(before, '\n')),
          .column = line_start == before.npos ? before.size() + 1 : before.size() - line_start};
}

}  // namespace memio

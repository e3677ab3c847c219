// SPDX-License-Identifier: MIT
#include "memio/region_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>
#include <vector>

namespace memio {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

TEST(RegionName, MayBeAnythingThatTheRulesAllow) {
  const std::string longest(max_name_length, 'x');
  for (const auto& name : {"a"s, "camera/0/frame"s, "A-Z_0.9"s, "..."s, ".hidden"s, "a/..b/.c."s, "-"s, longest})
    EXPECT_TRUE(check_name(name)) << name;
}

TEST(RegionName, IsRefusedWithTheRuleThatItBreaks) {
  struct Case {
    std::string name;
    const char* reason;
  };
  const std::vector<Case> cases = {
      {"", "it is empty"},
      {std::string(max_name_length + 1, 'x'), "more than 200 characters"},
      {"/a", "a component between '/' is empty"},
      {"a/", "a component between '/' is empty"},
      {"a//b", "a component between '/' is empty"},
      {"/", "a component between '/' is empty"},
      {".", "a component is '.'"},
      {"..", "a component is '..'"},
      {"a/../b", "a component is '..'"},
      {"a/.", "a component is '.'"},
      {"a b", "byte 0x20 at position 1"},
      {"a\nb", "byte 0x0a at position 1"},
      {"a\0b"s, "byte 0x00 at position 1"},
      {"caf\xc3\xa9", "byte 0xc3 at position 3"},
      {"a:b", "':' at position 1"},
      {"a*", "'*' at position 1"},
      {"a\\b", "'\\' at position 1"},
  };
  for (const auto& [name, reason] : cases) {
    const auto result = check_name(name);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, Errc::invalid_name);
    EXPECT_THAT(result.error().message, HasSubstr(reason));
    EXPECT_THAT(result.error().message, HasSubstr("not a name"));
  }
}

TEST(Pattern, MayHaveStarsWhereNamesHaveCharacters) {
  for (const auto& pattern : {"*"s, "**"s, "a*"s, "*/x"s, "a/**/b"s, "***"s, ".*"s, "name"s})
    EXPECT_TRUE(check_pattern(pattern)) << pattern;
}

TEST(Pattern, IsRefusedWithTheRuleThatItBreaks) {
  for (const auto& pattern : {""s, "/*"s, "*/"s, "a//b"s, "a/./*"s, "a?"s, "[a]"s, std::string(201, '*')}) {
    const auto result = check_pattern(pattern);
    ASSERT_FALSE(result) << pattern;
    EXPECT_EQ(result.error().code, Errc::invalid_pattern);
    EXPECT_THAT(result.error().message, HasSubstr("not a name pattern"));
  }
}

TEST(Pattern, MatchesWholeNames) {
  struct Case {
    const char* pattern;
    const char* name;
    bool expected;
  };
  const std::vector<Case> cases = {
      {"a", "a", true},
      {"a", "ab", false},
      {"ab", "a", false},
      {"*", "a", true},
      {"*", "a/b", false},
      {"**", "a/b", true},
      {"a/*", "a/b", true},
      {"a/*", "a", false},
      {"a/*", "a/b/c", false},
      {"a/**", "a/b/c", true},
      {"a/**", "a", false},
      {"a**", "a", true},
      {"*/c", "a/b/c", false},
      {"**/c", "a/b/c", true},
      {"**/c", "c", false},
      {"a*c", "ac", true},
      {"a*c", "abbc", true},
      {"a*c", "ab/c", false},
      {"a**c", "ab/c", true},
      {"*.json", "x.json", true},
      {"*.json", "xAjson", false},
      {"a/*/c", "a/b/c", true},
      {"a/*/c", "a/b/d/c", false},
      {"***", "a/b", true},
      {"*a*a*", "banana", true},
      {"*a*a*a*a*", "banana", false},
  };
  for (const auto& [pattern, name, expected] : cases)
    EXPECT_EQ(matches(pattern, name), expected) << pattern << ' ' << name;
}

// What the two stars mean, said by another matcher.
std::regex reference(const std::string& pattern) {
  std::string expression;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*') {
      const bool crosses = i + 1 < pattern.size() && pattern[i + 1] == '*';
      expression += crosses ? ".*" : "[^/]*";
      i += crosses ? 1 : 0;
    } else if (pattern[i] == '.') {
      expression += "\\.";
    } else {
      expression += pattern[i];
    }
  }
  return std::regex(expression);
}

TEST(Pattern, MatchesAsARegularExpressionDoes) {
  std::mt19937 random(20'240'601);
  const auto pick = [&](const std::string& letters, std::size_t most) {
    std::string text;
    const auto length = std::uniform_int_distribution<std::size_t>(1, most)(random);
    for (std::size_t i = 0; i < length; ++i)
      text += letters[std::uniform_int_distribution<std::size_t>(0, letters.size() - 1)(random)];
    return text;
  };
  int matched = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto pattern = pick("ab./**", 8);
    const auto expression = reference(pattern);
    for (int j = 0; j < 10; ++j) {
      const auto name = pick("ab./", 7);
      const bool expected = std::regex_match(name, expression);
      matched += expected ? 1 : 0;
      ASSERT_EQ(matches(pattern, name), expected) << pattern << ' ' << name;
    }
  }
  EXPECT_GT(matched, 500) << "too few matches for this to mean something";
}

// A backtracking matcher would not come back from this.
TEST(Pattern, OfManyStarsMatchesQuickly) {
  std::string pattern;
  for (int i = 0; i < 66; ++i) pattern += "a**";
  pattern += "b";
  EXPECT_FALSE(matches(pattern, std::string(max_name_length, 'a')));
  EXPECT_TRUE(matches(pattern, std::string(max_name_length - 1, 'a') + "b"));
}

TEST(Pattern, MatchesNoNameThatIsTooLong) { EXPECT_FALSE(matches("**", std::string(max_name_length + 1, 'a'))); }

}  // namespace
}  // namespace memio

// SPDX-License-Identifier: MIT
#include "located_json.h"

#include <gtest/gtest.h>

namespace memio::broker {
namespace {

// What the text has at the place of each value.
void expect_places(const LocatedJson& json, const std::string& text) {
  const auto rest = text.substr(json.byte);
  const std::string begin = json.value.is_object() ? "{" : json.value.is_array() ? "[" : json.value.dump();
  EXPECT_TRUE(rest.starts_with(begin)) << rest;
  for (const auto& member : json.members) {
    EXPECT_TRUE(text.substr(member.byte).starts_with('"' + member.name + '"')) << text.substr(member.byte);
    expect_places(member.value, text);
  }
  for (const auto& element : json.elements) expect_places(element, text);
}

TEST(LocatedJson, KnowsWhereEachValueIs) {
  const std::string text = R"( // before { "no": 1 }
    {"a": 1, "b":[1,22 ,333/* 4, */, 5// 6
      ,"seven\"",true,false , null,{}, []], "c" : {"d":-1,"e":{"f":12345}}, "g":"//no comment", /*x*/ "h":0} // after)";
  const auto json = parse_located(text);
  ASSERT_TRUE(json) << json.error().what;
  ASSERT_EQ(json->members.size(), 5U);
  EXPECT_EQ(json->members[1].value.elements.size(), 10U);
  expect_places(*json, text);
}

TEST(LocatedJson, KnowsWhereTheMistakeIs) {
  const std::vector<std::pair<std::string, std::size_t>> wrong = {
      {"{\"a\" 1}", 5}, {"{\"a\": tru}", 6}, {"[1, 2", 6}, {"{\"a\": 1, \"a\": 2}", 9}, {"[1e999]", 1}, {"\"\x01\"", 1},
  };
  for (const auto& [text, byte] : wrong) {
    const auto json = parse_located(text);
    ASSERT_FALSE(json) << text;
    EXPECT_NEAR(static_cast<double>(json.error().byte), static_cast<double>(byte), 1) << text;
    EXPECT_FALSE(json.error().what.empty());
  }
}

}  // namespace
}  // namespace memio::broker

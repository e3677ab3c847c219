// SPDX-License-Identifier: MIT
#include "memio/json_scanner.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "memio/message.h"
#include "memio/strict_json.h"

namespace memio {
namespace {

using namespace std::string_literals;

TEST(IsJson, AcceptsWhatIsWellFormed) {
  for (const std::string text :
       {"null", " true ", "false", "0", "-0", "-12.5e-3", "1E+2", "18446744073709551616", "\"\"", "\"a\\\"\\\\\\/\\b\"",
        "\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "[]", "[ 1 , [ ] , { } ]",
        R"({"a":1,"b":{"a":[null]}})", R"({ "" : 0 })", "1e-400"}) {
    EXPECT_TRUE(is_json(text)) << text;
    EXPECT_TRUE(parse_strictly(text)) << text;
  }
}

TEST(IsJson, RefusesEverythingElse) {
  for (const std::string& text : {""s,
                                  " "s,
                                  "nul"s,
                                  "nullx"s,
                                  "1 2"s,
                                  "01"s,
                                  "-"s,
                                  "1."s,
                                  ".5"s,
                                  "1e"s,
                                  "+1"s,
                                  "1e999"s,
                                  "-1e999"s,
                                  "Infinity"s,
                                  "\""s,
                                  "\"\\\""s,
                                  "\"\\x\""s,
                                  "\"\\u12g4\""s,
                                  "\"\\ud83d\""s,
                                  "\"\\ude00\""s,
                                  "\"\\ud83d\\u0041\""s,
                                  "\"\n\""s,
                                  "\"\x80\""s,
                                  "\"\xc0\xaf\""s,
                                  "\"\xed\xa0\x80\""s,
                                  "\"\xf4\x90\x80\x80\""s,
                                  "\"\xe2\x82\""s,
                                  "["s,
                                  "[1"s,
                                  "[1,]"s,
                                  "[,]"s,
                                  "[1 2]"s,
                                  "{"s,
                                  "{}}"s,
                                  R"({"a"})"s,
                                  R"({"a":})"s,
                                  R"({"a":1,})"s,
                                  R"({a:1})"s,
                                  R"({"a":1 "b":2})"s,
                                  R"({"a":1,"a":2})"s,
                                  R"({"a":1,"\u0061":2})"s,
                                  R"([{"b":{"x":1,"x":1}}])"s,
                                  "// x\n1"s,

                                  std::string(400, '9')}) {
    EXPECT_FALSE(is_json(text)) << text;
    EXPECT_FALSE(parse_strictly(text)) << text;
  }
}

TEST(IsJson, AllowsAsMuchNestingAsAMessage) {
  const auto nested = [](unsigned depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(is_json(nested(max_nesting)));
  EXPECT_FALSE(is_json(nested(max_nesting + 1)));
  EXPECT_FALSE(is_json(std::string(1'000'000, '[')));
  EXPECT_FALSE(JsonScanner("[]", max_nesting).take_value());
}

TEST(IsJson, FindsAMemberThatIsThereTwiceAmongMany) {
  std::string members;
  for (int i = 0; i < 100'000; ++i) members += "\"m" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(is_json("{" + members + "\"x\":0}"));
  EXPECT_FALSE(is_json("{" + members + "\"m5\":0}"));
}

TEST(JsonScanner, GoesThroughAnObject) {
  JsonScanner scanner(R"( { "a" : [1, {"x":2}] , "b\n":"c" } )");
  ASSERT_TRUE(scanner.enter_object());
  EXPECT_EQ(scanner.next_member(), "a");
  EXPECT_EQ(scanner.take_value(), R"([1, {"x":2}])");
  EXPECT_EQ(scanner.next_member(), R"(b\n)");
  EXPECT_EQ(scanner.take_value(), "\"c\"");
  EXPECT_FALSE(scanner.next_member());
  EXPECT_TRUE(scanner.at_end());
}

TEST(JsonScanner, SaysWhenThereIsNoObject) {
  for (const auto* text : {"[]", "{", R"({"a":1,"a":1})", R"({"a":1,,})", R"({,"a":1})", R"({"a" 1})"}) {
    JsonScanner scanner(text);
    if (scanner.enter_object())
      while (scanner.next_member())
        if (!scanner.take_value()) break;
    EXPECT_TRUE(scanner.failed()) << text;
    EXPECT_FALSE(scanner.at_end()) << text;
  }
}

// Texts that are almost JSON: both readers agree about each.
TEST(IsJson, AgreesWithTheParser) {
  std::mt19937 random(1);
  const std::string good = R"({"a":[1,-2.5e3,"x\u00e9\\",{"b":null,"c":[true,false]}],"d":{"":0}})";
  constexpr std::string_view bytes = "{}[]\",:\\ue0123456789-+. ntfa\x80\xc3\xa9\n";
  for (int i = 0; i < 20'000; ++i) {
    auto text = good;
    for (auto changes = random() % 3 + 1; changes > 0; --changes)
      text[random() % text.size()] = bytes[random() % bytes.size()];
    ASSERT_EQ(is_json(text), parse_strictly(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace memio

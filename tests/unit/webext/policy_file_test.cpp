// SPDX-License-Identifier: MIT
#include "app/policy_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace memio::webext {

namespace {

std::string error_of(const std::string& text) {
  const auto rules = parse_policy(text);
  return rules ? "none" : rules.error().message;
}

// A policy of one rule, which has these members besides a good `grants`.
std::string rule(const std::string& members) {
  return R"({"rules": [{"grants": [{"pattern": "a", "rights": ["read"]}], )" + members + "}]}";
}

TEST(PolicyFile, TheExampleOfTheDocumentationIsRead) {
  std::ifstream file(MEMIO_WEBEXT_DIR "/examples/policy.json");
  const auto rules = parse_policy({std::string(std::istreambuf_iterator<char>(file), {})});
  ASSERT_TRUE(rules) << rules.error().message;
  ASSERT_EQ(rules->size(), 2U);
  EXPECT_EQ(rules->at(0).frames.frames, Frames::main);
  EXPECT_EQ(rules->at(0).grants.at(1).pattern, "settings/*");
  EXPECT_EQ(rules->at(0).grants.at(2).rights, (std::vector{protocol::Right::invoke, protocol::Right::listen}));
  EXPECT_EQ(rules->at(0).options.compatibility, std::vector<std::string>{"memio-tauri"});
  EXPECT_TRUE(rules->at(0).options.workers);
  EXPECT_EQ(rules->at(1).frames.frames, Frames::inside);
  EXPECT_EQ(rules->at(1).frames.within.at(0).text(), "https://app.local");
}

TEST(PolicyFile, MistakesAreToldWithTheirPlaceAndWhatIsExpected) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "line 1, column 1: is not JSON; expected '[', '{', or a literal"},
      {"{\"rules\":\n  -\x92", "line 2, column 4: is not JSON; expected digit after '-'"},
      {"{\"rules\":\n  [,]}", "line 2, column 4: is not JSON; expected '[', '{', or a literal"},
      {"[]", "the file: expected a policy, not an empty array"},
      {"{}", "the file: no member \"rules\"; a policy needs it"},
      {R"({"rules": [], "rule": []})", "the file: unknown member \"rule\"; a policy has rules"},
      {R"({"rules": {}})", "rules: expected an array of one or more rules, not an object"},
      {R"({"rules": []})", "rules: expected an array of one or more rules, not an empty array"},
      {R"({"rules": [1]})", "rules[0]: expected a rule, not number"},
      {R"({"rules": [{"origins": ["*"]}]})", "rules[0]: no member \"grants\"; a rule needs it"},
      {rule(R"("origins": "*")"), "rules[0].origins: expected an array of one or more patterns of origins, not \"*\""},
      {rule(R"("origins": ["*", 7])"),
       "rules[0].origins[1]: expected a pattern of origins, such as \"https://app.local\", not number"},
      {rule(R"("origins": ["*"], "frames": "sub")"),
       "rules[0].frames: expected \"main\", \"inside\" or \"all\", not \"sub\""},
      {rule(R"("origins": ["*"], "frames": "all")"),
       "rules[0]: no member \"within\"; a rule for frames inside pages has to say in which pages"},
      {rule(R"("origins": ["*"], "workers": 1)"), "rules[0].workers: expected true or false, not number"},
      {rule(R"("origins": ["*"], "compatibility": ["tauri"])"),
       "rules[0].compatibility[0]: expected one of memio-tauri, webview2, not \"tauri\""},
      {rule(R"("origins": ["*"], "origins": ["*"])"), "the file: has the member 'origins' twice"},
      {R"({"rules": [{"origins": ["*"], "grants": [{"pattern": "a", "rights": ["read", "reed"]}]}]})",
       "rules[0].grants[0].rights[1]: expected one of \"read\", \"write\", \"create\", \"remove\", \"watch\", "
       "\"invoke\", \"handle\", \"emit\", \"listen\", not \"reed\""},
      {R"({"rules": [{"origins": ["*"], "grants": [{"pattern": 1, "rights": ["read"]}]}]})",
       "rules[0].grants[0].pattern: expected a pattern of names, such as \"camera/*\", not number"},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(error_of(text), error) << text;
  EXPECT_TRUE(error_of(rule(R"("origins": ["app"])")).starts_with("rules[0].origins[0]: \"app\" is no pattern"));
  EXPECT_TRUE(error_of(rule(R"("origins": ["*"], "within": ["*"])")).starts_with("rules[0]: \"within\" is of a rule"));
  EXPECT_TRUE(error_of(R"({"rules": [{"origins": ["*"], "grants": [{"pattern": "../a", "rights": ["read"]}]}]})")
                  .starts_with("rules[0].grants[0].pattern: "));
  EXPECT_TRUE(error_of(std::string(100, '[')).starts_with("the file: nests objects more than"));
}

}  // namespace

}  // namespace memio::webext

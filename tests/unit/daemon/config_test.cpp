// SPDX-License-Identifier: MIT
#include "config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/process.h"

namespace memio::broker {
namespace {

using protocol::Right;
using testing::HasSubstr;

Config read(std::string_view text) {
  Config config;
  const auto result = read_config(text, "test.conf", config);
  EXPECT_TRUE(result) << result.error().message;
  return config;
}

std::string error_of(std::string_view text) {
  Config config;
  const auto result = read_config(text, "test.conf", config);
  if (result) return "no error";
  EXPECT_EQ(config.policy.size(), 0U);
  return result.error().message;
}

TEST(Config, ReadsLimitsWithCommentsAndSizes) {
  const auto config = read(R"(// what people write
  {
    "limits": {
      "user": {"regions": 7, "bytes": "64M"}, /* of all */
      "connection": {"queuedBytes": 65536, "messagesPerSecond": 1},
      "regionBytes": "1G"
    },
    "socketMode": "0660"
  })");
  EXPECT_EQ(config.limits.user.regions, 7U);
  EXPECT_EQ(config.limits.user.bytes, std::uint64_t{64} << 20);
  EXPECT_EQ(config.limits.user.handles, Limits().user.handles) << "what is not said stays";
  EXPECT_EQ(config.limits.connection.queued_bytes, 65536U);
  EXPECT_EQ(config.limits.region_bytes, std::uint64_t{1} << 30);
  EXPECT_EQ(config.socket_mode, 0660U);
}

TEST(Config, ReadsThePolicy) {
  const auto config = read(R"({"policy": {
    "1001": {"grants": [{"pattern": "camera/**", "rights": ["read", "watch"]}]},
    "1002": {"grants": []}}})");
  ASSERT_EQ(config.policy.size(), 2U);
  const auto& grant = config.policy.at(1001).at(0);
  EXPECT_EQ(grant.pattern, "camera/**");
  EXPECT_EQ(grant.rights, (std::vector{Right::read, Right::watch}));
  EXPECT_TRUE(config.policy.at(1002).empty());
}

TEST(Config, ALaterFileWinsValueByValue) {
  Config config;
  ASSERT_TRUE(read_config(R"({"limits": {"user": {"regions": 1, "handles": 1}},
                              "policy": {"1": {"grants": []}, "2": {"grants": []}}})",
                          "a", config));
  ASSERT_TRUE(read_config(R"({"limits": {"user": {"regions": 2}}, "policy": {"2": null}})", "b", config));
  EXPECT_EQ(config.limits.user.regions, 2U);
  EXPECT_EQ(config.limits.user.handles, 1U);
  EXPECT_EQ(config.policy.size(), 1U);
}

TEST(Config, AFileWithNothingInItSaysNothing) {
  EXPECT_EQ(error_of(""), "no error");
  EXPECT_EQ(error_of(" \n"), "no error");
  EXPECT_EQ(error_of("// nothing\n{}"), "no error");
}

TEST(Config, ErrorsSayWhereAndWhatWasExpected) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"{\n  \"limits\": {\n    \"user\": {\"regoins\": 5}\n  }\n}",
       "test.conf:3:14: limits.user: \"regoins\" cannot be set here; did you mean \"regions\"?"},
      {R"({"limit": {}})", "test.conf:1:2: \"limit\" cannot be set here; did you mean \"limits\"?"},
      {R"({"colour": 1})", "test.conf:1:2: \"colour\" cannot be set here; expected one of \"limits\", \"policy\", "},
      {"{\n\"limits\": 5}", "test.conf:2:11: limits: expected an object of limits, not 5"},
      {R"({"limits": {"user": {"regions": -1}}})",
       "test.conf:1:33: limits.user.regions: expected a whole number from 0 to 1152921504606846976, not -1"},
      {R"({"limits": {"user": {"regions": 1.5}}})", "test.conf:1:33: limits.user.regions: expected a whole number"},
      {R"({"limits": {"user": {"regions": "5M"}}})", "limits.user.regions: expected a whole number"},
      {R"({"limits": {"user": {"bytes": "5X"}}})", "or one with K, M, G or T such as \"64M\", not \"5X\""},
      {R"({"limits": {"user": {"bytes": "99999999999T"}}})", "test.conf:1:31: limits.user.bytes: expected"},
      {R"({"limits": {"user": {"fds": 1}}})", "limits.user.fds: expected a whole number from 3 to"},
      {R"({"limits": {"user": {"messagesPerSecond": 0}}})", "expected a whole number from 1 to"},
      {R"({"limits": {"user": {"regions": 1e400}}})", "test.conf:1:33: the number is too large to be read"},
      {R"({"limits": {"user": {"regions": 1, "regions": 2}}})",
       "test.conf:1:36: the member \"regions\" is there twice"},
      {R"({"policy": {"alice": {"grants": []}}})",
       "test.conf:1:13: policy: expected the number of a user (uid), such as \"1001\", not \"alice\""},
      {R"({"policy": {"-1": {"grants": []}}})", "expected the number of a user"},
      {R"({"policy": {"4294967295": {"grants": []}}})", "expected the number of a user"},
      {R"({"policy": {"5": {"grants": [{"pattern": "a"}]}}})",
       "test.conf:1:30: policy.5.grants[0]: the grant has no \"rights\""},
      {R"({"policy": {"5": {"grants": [{"pattern": "a//b", "rights": []}]}}})", "policy.5.grants[0].pattern: "},
      {R"({"policy": {"5": {"grants": [{"pattern": "a", "rights": ["own"]}]}}})",
       "policy.5.grants[0].rights[0]: expected one of \"read\", \"write\", \"create\", \"remove\", \"watch\", "
       "\"invoke\", \"handle\", \"emit\", \"listen\", not "
       "\"own\""},
      {R"({"policy": {"5": {"grants": 7}}})", "policy.5.grants: expected an array of grants, not 7"},
      {R"({"socketMode": "0777"})", "test.conf:1:16: socketMode: expected a file mode"},
      {R"({"socketMode": "0066"})", "socketMode: expected a file mode"},
      {R"({"socketMode": 384})", "socketMode: expected a file mode"},
      {"{\n  \"limits\": {},\n}", "test.conf:3:1: not JSON; expected string literal"},
      {"{\"limits\": -\x92", "test.conf:1:12: not JSON; expected digit after '-'"},
      {"[]", "test.conf:1:1: expected an object, not an empty array"},
      {"{\"limits\": \xff}", "test.conf:1:12: not JSON"},
      {std::string(5000, '['), "test.conf:1:33: objects are nested more than 32 deep"},
      {R"({} {})", "not JSON"},
      {"/* never closed", "not JSON"},
  };
  for (const auto& [text, message] : wrong) {
    SCOPED_TRACE(text.substr(0, 80));
    EXPECT_THAT(error_of(text), HasSubstr(message));
  }
}

class ConfigFiles : public testing::Test {
 protected:
  test::TemporaryDirectory directory_;
  const std::string system_ = directory_.path() + "/etc";
  const std::string user_ = directory_.path() + "/user";

  std::string write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
};

TEST_F(ConfigFiles, AreReadInTheOrderOfSystemd) {
  const auto last = write(system_ + "/memiod.conf.d/90-last.conf", "");
  const auto hidden = write(system_ + "/memiod.conf.d/50-same.conf", "");
  const auto first = write(user_ + "/memiod.conf.d/10-first.conf", "");
  const auto same = write(user_ + "/memiod.conf.d/50-same.conf", "");
  write(user_ + "/memiod.conf.d/README", "");
  write(user_ + "/memiod.conf.d/.hidden.conf", "");
  const auto user = write(user_ + "/memiod.conf", "");
  const auto system = write(system_ + "/memiod.conf", "");
  EXPECT_EQ(config_files_in({system_, user_}), (std::vector{system, user, first, same, last}));
  EXPECT_TRUE(config_files_in({directory_.path() + "/none"}).value().empty());
}

// A file that restricts something must not be passed over because there is no descriptor left, for instance.
TEST_F(ConfigFiles, WhatCannotBeLookedAtIsAnError) {
  std::filesystem::create_directories(user_);
  std::filesystem::create_symlink("memiod.conf.d", user_ + "/memiod.conf.d");
  EXPECT_THAT(config_files_in({user_}).error().text(), HasSubstr(user_ + "/memiod.conf.d"));
  std::filesystem::create_symlink("etc", system_);
  EXPECT_THAT(config_files_in({system_}).error().text(), HasSubstr(system_ + "/memiod.conf"));
}

TEST_F(ConfigFiles, TheLastWins) {
  const auto a = write(system_ + "/memiod.conf", R"({"limits": {"user": {"regions": 1, "handles": 5}}})");
  const auto b = write(user_ + "/memiod.conf", R"({"limits": {"user": {"regions": 2}}})");
  const auto config = load_config({a, b});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->limits.user.regions, 2U);
  EXPECT_EQ(config->limits.user.handles, 5U);
}

TEST_F(ConfigFiles, WhatCannotBeReadIsAnError) {
  EXPECT_THAT(load_config({"/nonexistent"}).error().text(), HasSubstr("/nonexistent"));
  EXPECT_THAT(load_config({directory_.path()}).error().text(), HasSubstr("is not a file"));
  EXPECT_TRUE(load_config({"/dev/null"}));
  const auto fifo = directory_.path() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(load_config({fifo}).error().text(), HasSubstr("is not a file"));
  const auto large = write(system_ + "/memiod.conf", std::string(70'000, ' '));
  EXPECT_THAT(load_config({large}).error().text(), HasSubstr("longer than 65536"));
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "memio/json_fields.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "memio/protocol_json.h"

namespace memio::protocol {
namespace {

struct Case {
  const char* json;
  const char* field;  // that the error names
};

template <class T>
void expect_errors(const std::vector<Case>& cases) {
  for (const auto& [json, field] : cases) {
    const auto parsed = parse<T>(Json::parse(json));
    ASSERT_FALSE(parsed) << json;
    EXPECT_EQ(parsed.error().code, Errc::invalid_parameter);
    EXPECT_EQ(parsed.error().message, field) << json;
  }
}

TEST(Parse, ReadsRequiredAndOptionalFields) {
  const auto minimal = parse<CreateParameters>(Json::parse(R"({"name":"a","capacity":18446744073709551615})"));
  ASSERT_TRUE(minimal) << minimal.error().text();
  EXPECT_EQ(minimal->name, "a");
  EXPECT_EQ(minimal->capacity, ~std::uint64_t{0});
  EXPECT_FALSE(minimal->slots || minimal->layout || minimal->lifetime);

  const auto full = parse<CreateParameters>(
      Json::parse(R"({"name":"a","capacity":0,"slots":64,"layout":"memio24","lifetime":"persistent"})"));
  ASSERT_TRUE(full) << full.error().text();
  EXPECT_EQ(full->slots, 64U);
  EXPECT_EQ(full->layout, Layout::memio24);
  EXPECT_EQ(full->lifetime, Lifetime::persistent);
}

TEST(Parse, TakesNullForAnAbsentOptionalField) {
  const auto parsed = parse<CreateParameters>(Json::parse(R"({"name":"a","capacity":1,"slots":null,"layout":null})"));
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_FALSE(parsed->slots || parsed->layout);
}

TEST(Parse, NamesTheFieldThatIsWrong) {
  expect_errors<CreateParameters>({
      {R"([])", "parameters"},
      {R"({})", "name"},
      {R"({"name":"a"})", "capacity"},
      {R"({"name":null,"capacity":1})", "name"},
      {R"({"name":7,"capacity":1})", "name"},
      {R"({"name":"a","capacity":null})", "capacity"},
      {R"({"name":"a","capacity":"1"})", "capacity"},
      {R"({"name":"a","capacity":-1})", "capacity"},
      {R"({"name":"a","capacity":1.0})", "capacity"},
      {R"({"name":"a","capacity":1e3})", "capacity"},
      {R"({"name":"a","capacity":18446744073709551616})", "capacity"},
      {R"({"name":"a","capacity":true})", "capacity"},
      {R"({"name":"a","capacity":1,"slots":-4})", "slots"},
      {R"({"name":"a","capacity":1,"layout":"memio32"})", "layout"},
      {R"({"name":"a","capacity":1,"layout":0})", "layout"},
      {R"({"name":"a","capacity":1,"lifetime":""})", "lifetime"},
      {R"({"name":"a","capacity":1,"size":1})", "size"},
      {R"({"name":"a","capacity":1,"Name":"a"})", "Name"},
      {R"({"name":"a","capacity":1,"":"a"})", ""},
  });
  expect_errors<WatchParameters>({{R"({"versions":1})", "versions"}, {R"({"pattern":false})", "pattern"}});
  expect_errors<ListReply>({{R"({"regions":{}})", "regions"}, {R"({"regions":null})", "regions"}});
}

TEST(Parse, NamesTheWholePathOfANestedField) {
  expect_errors<OpenConnectionParameters>({
      {R"({"grants":{}})", "grants"},
      {R"({"grants":[1]})", "grants[0]"},
      {R"({"grants":[{"pattern":"*"}]})", "grants[0].rights"},
      {R"({"grants":[{"pattern":"*","rights":["read"]},{"pattern":"*","rights":"read"}]})", "grants[1].rights"},
      {R"({"grants":[{"pattern":"*","rights":["read","fly"]}]})", "grants[0].rights[1]"},
      {R"({"grants":[{"pattern":"*","rights":[],"extra":1}]})", "grants[0].extra"},
      {R"({"grants":[{"pattern":"*","rights":[]},{"pattern":"a","rights":[]},{"pattern":7}]})", "grants[2].pattern"},
  });
  expect_errors<CreateReply>({
      {R"({"region":{"name":"a"}})", "region.generation"},
      {R"({"handle":{}})", "region"},
  });
}

TEST(Parse, AcceptsNoFieldsWhereThereAreNone) {
  EXPECT_TRUE(parse<CloseReply>(Json::object()));
  expect_errors<CloseReply>({{R"({"id":1})", "id"}});
}

// All else in it is still checked.
TEST(Parse, AReplyOfANewerMemiodMayHaveFieldsThatNobodyKnows) {
  const auto json = Json::parse(
      R"({"new":1,"region":{"capacity":1,"exclusive":false,"generation":1,"handles":0,"hugePages":false,)"
      R"("layout":"memio64","lifetime":"session","name":"a","newer":[{}],"sequence":0,"slots":4,"stride":4096},)"
      R"("handleStates":[{"newest":null}],"length":0,"memory":0,"version":7})");
  EXPECT_EQ(parse_reply<StatReply>(json).error().message, "handleStates[0].access");
  auto good = json;
  good["handleStates"] = Json::array();
  EXPECT_EQ(parse_reply<StatReply>(good)->version, 7U);
  EXPECT_EQ(parse_reply<StatReply>(good)->region.name, "a");
  EXPECT_EQ(parse<StatReply>(good).error().message, "region.newer");
}

TEST(ToJson, LeavesAbsentOptionalFieldsOut) {
  EXPECT_EQ(to_json(CreateParameters{.name = "a", .capacity = 1}), Json({{"name", "a"}, {"capacity", 1}}));
}

TEST(ToJson, WritesEmptyListsAndEnumWords) {
  EXPECT_EQ(to_json(ListReply{}), Json({{"regions", Json::array()}}));
  EXPECT_EQ(to_json(Grant{"*", {Right::read, Right::create}}),
            Json({{"pattern", "*"}, {"rights", {"read", "create"}}}));
}

TEST(ToText, WritesWhatTheJsonLibraryWouldOfTheSame) {
  const StatReply state{.region = {.name = "a", .capacity = ~std::uint64_t{0}, .exclusive = true},
                        .version = 7,
                        .handle_states = {{.access = Access::read, .leases = {0, 63}}, {.pid = 1, .writing = true}}};
  EXPECT_EQ(to_text(state).text, to_json(state).dump());
  EXPECT_EQ(to_text(CloseReply{}).text, "{}");
  EXPECT_EQ(to_text(ListReply{}).text, R"({"regions":[]})");
}

TEST(ToText, WritesEveryStringSoThatItIsReadAsItWas) {
  for (const auto& text : {std::string(), std::string("\0\x01\x1f\x7f", 4), std::string(R"("\ /)"), std::string("ä€😀"),
                           std::string("line\nline\ttab")}) {
    const auto written = to_text(OpenParameters{text, Access::read}).text;
    EXPECT_EQ(written, Json({{"name", text}, {"access", "read"}}).dump());
    EXPECT_EQ(Json::parse(written).at("name"), text);
  }
  EXPECT_EQ(to_text(OpenParameters{"\xff", Access::read}).text, "{\"access\":\"read\",\"name\":\"\xef\xbf\xbd\"}");
}

TEST(Enums, HaveAWordForEachValue) {
  EXPECT_EQ(to_string(Lifetime::linger), "linger");
  EXPECT_EQ(from_string<Access>("write"), Access::write);
  EXPECT_EQ(from_string<Access>("Write"), std::nullopt);
  EXPECT_EQ(EnumNames<EventKind>::names.size(), 5U);
}

}  // namespace
}  // namespace memio::protocol

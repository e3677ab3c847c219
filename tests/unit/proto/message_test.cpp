// SPDX-License-Identifier: MIT
#include "memio/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "memio/raw_json.h"

namespace memio {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

TEST(DecodeCall, ReadsAllPartsInAnyOrder) {
  const auto call = decode_call(R"( {"oneway":true, "parameters":{"name":"a"}, "method":"io.memio.Remove"} )");
  ASSERT_TRUE(call) << call.error().text();
  EXPECT_EQ(call->method, "io.memio.Remove");
  EXPECT_EQ(call->parameters, Json({{"name", "a"}}));
  EXPECT_TRUE(call->oneway);
  EXPECT_FALSE(call->more);
}

TEST(DecodeCall, KeepsTheTextOfWhatIsPassedOn) {
  const auto call = decode_call(
      R"({"method":"io.memio.Invoke","parameters":{"name":"c","arguments": {"a" : 1e2, "b":["\u00e9"]} ,"id":7}})");
  ASSERT_TRUE(call) << call.error().text();
  EXPECT_TRUE(is_raw(call->parameters.at("arguments")));
  EXPECT_EQ(to_text(call->parameters), R"({"arguments":{"a" : 1e2, "b":["\u00e9"]},"id":7,"name":"c"})");
}

TEST(DecodeCall, ChecksWhatIsPassedOnAsEverythingElse) {
  const auto invoke = [](const std::string& arguments) {
    return decode_call(R"({"method":"io.memio.Invoke","parameters":{"name":"c","arguments":)" + arguments + "}}");
  };
  for (const auto* wrong : {"{", "1,,", "\"\x80\"", R"({"a":1,"a":2})", "1e999", "01", "nul", R"(1,"name":"d")"}) {
    const auto call = invoke(wrong);
    ASSERT_FALSE(call) << wrong;
    EXPECT_EQ(call.error().code, Errc::malformed_message);
  }
  EXPECT_TRUE(invoke(std::string(max_nesting - 2, '[') + std::string(max_nesting - 2, ']')));
  EXPECT_THAT(invoke(std::string(max_nesting - 1, '[') + std::string(max_nesting - 1, ']')).error().message,
              HasSubstr("deep"));
}

TEST(DecodeCall, TakesMissingAndNullParametersForNone) {
  for (const auto* text : {R"({"method":"a.B"})", R"({"method":"a.B","parameters":null})"}) {
    const auto call = decode_call(text);
    ASSERT_TRUE(call) << text;
    EXPECT_EQ(call->parameters, Json::object());
  }
}

TEST(DecodeCall, SaysWhatIsWrongWithEachKindOfMalformedMessage) {
  struct Case {
    std::string text;
    const char* reason;
  };
  const std::vector<Case> cases = {
      {"", "not JSON: an error at byte"},
      {"hello", "not JSON: an error at byte 1"},
      {R"({"method":"a.B")", "not JSON: an error at byte 16"},
      {R"({"method":"a.B"} x)", "not JSON: an error at byte 18"},
      {R"({"method":"a.B"}{"method":"a.B"})", "not JSON: an error at byte 17"},
      {R"({'method':'a.B'})", "not JSON: an error at byte 2"},
      {"{\"method\":\"\xff\"}", "not JSON: an error at byte 12"},       // invalid UTF-8
      {"{\"method\":\"\xed\xa0\x80\"}", "not JSON: an error at byte"},  // a surrogate in UTF-8
      {R"({"method":"\ud800"})", "not JSON: an error at byte"},         // half of a pair
      {"{\"method\":\"a\nB\"}", "not JSON: an error at byte 13"},       // a control character
      {"{\"method\":\"a.B\"\0}"s, "not JSON: an error at byte 16"},
      {R"({"method":"a.B","parameters":{"n":1e400}})", "a number that is too large"},
      {"[]", "not a JSON object"},
      {"null", "not a JSON object"},
      {"\"method\"", "not a JSON object"},
      {"7", "not a JSON object"},
      {"{}", "no method"},
      {R"({"parameters":{}})", "no method"},
      {R"({"method":""})", "no method"},
      {R"({"method":7})", "'method' is of the wrong type"},
      {R"({"method":null})", "'method' is of the wrong type"},
      {R"({"method":"a.B","parameters":[]})", "'parameters' is of the wrong type"},
      {R"({"method":"a.B","parameters":"x"})", "'parameters' is of the wrong type"},
      {R"({"method":"a.B","more":1})", "'more' is of the wrong type"},
      {R"({"method":"a.B","oneway":"true"})", "'oneway' is of the wrong type"},
      {R"({"method":"a.B","upgrade":true})", "member 'upgrade' that Varlink does not know"},
      {R"({"method":"a.B","Method":"a.B"})", "member 'Method' that Varlink does not know"},
      {R"({"method":"a.B","more":true,"oneway":true})", "both for more replies and for none"},
      {R"({"method":"a.B","method":"a.C"})", "the member 'method' twice"},
      {R"({"method":"a.B","parameters":{"name":"a","name":"b"}})", "the member 'name' twice"},
      {R"({"method":"a.B","parameters":{"l":[{},{"n":1,"n":1}]}})", "the member 'n' twice"},
      {R"({"method":"a.B","parameters":{"\u006eame":"a","name":"b"}})", "the member 'name' twice"},
  };
  for (const auto& [text, reason] : cases) {
    const auto call = decode_call(text);
    ASSERT_FALSE(call) << text;
    EXPECT_EQ(call.error().code, Errc::malformed_message);
    EXPECT_THAT(call.error().message, HasSubstr(reason)) << text;
  }
}

TEST(DecodeCall, AllowsTheSameMemberInDifferentObjects) {
  EXPECT_TRUE(decode_call(R"({"method":"a.B","parameters":{"method":{"method":1},"l":[{"n":1},{"n":1}],"n":1}})"));
}

std::string nested(unsigned depth, char open, char close) {
  // The message and its parameters are two of them.
  const auto inner = open == '{' ? "{\"a\":"s : "["s;
  std::string text = R"({"method":"a.B","parameters":{"x":)";
  for (unsigned i = 2; i < depth; ++i) text += inner;
  text += "1";
  for (unsigned i = 2; i < depth; ++i) text += close;
  return text + "}}";
}

TEST(DecodeCall, RefusesToNestDeeperThanItsLimit) {
  for (const auto& [open, close] : {std::pair{'{', '}'}, std::pair{'[', ']'}}) {
    EXPECT_TRUE(decode_call(nested(max_nesting, open, close)));
    const auto call = decode_call(nested(max_nesting + 1, open, close));
    ASSERT_FALSE(call);
    EXPECT_THAT(call.error().message, HasSubstr("more than 32 deep"));
  }
  EXPECT_FALSE(decode_call(std::string(1'000'000, '[')));
  EXPECT_FALSE(decode_call("{\"a\":" + std::string(1'000'000, '{')));
}

TEST(DecodeCall, TakesBracketsInStringsForLetters) {
  const std::string brackets(100, '[');
  const auto call = decode_call(R"({"method":"a.B","parameters":{"x":"\"\\)" + brackets + R"("}})");
  ASSERT_TRUE(call) << call.error().text();
  EXPECT_EQ(call->parameters["x"], "\"\\" + brackets);
}

TEST(DecodeReply, SaysWhatIsWrongWithEachKindOfMalformedMessage) {
  struct Case {
    const char* text;
    const char* reason;
  };
  const std::vector<Case> cases = {
      {"[1]", "not a JSON object"},
      {R"({"error":1})", "'error' is of the wrong type"},
      {R"({"parameters":7})", "'parameters' is of the wrong type"},
      {R"({"continues":"yes"})", "'continues' is of the wrong type"},
      {R"({"method":"a.B"})", "member 'method' that Varlink does not know"},
      {R"({"parameters":{},"parameters":{}})", "the member 'parameters' twice"},
  };
  for (const auto& [text, reason] : cases) {
    const auto reply = decode_reply(text);
    ASSERT_FALSE(reply) << text;
    EXPECT_EQ(reply.error().code, Errc::malformed_message);
    EXPECT_THAT(reply.error().message, HasSubstr(reason)) << text;
  }
}

TEST(DecodeReply, AcceptsAnEmptyObject) {
  const auto reply = decode_reply("{}");
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->error.empty());
  EXPECT_EQ(reply->parameters, Json::object());
  EXPECT_FALSE(reply->continues);
}

TEST(Encode, KeepsWholeNumbersOf64BitsExact) {
  const Json numbers = {{"most", ~std::uint64_t{0}}, {"odd", (std::uint64_t{1} << 53) + 1}};
  const auto reply = decode_reply(encode(Reply{"", numbers}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->parameters["most"].get<std::uint64_t>(), ~std::uint64_t{0});
  EXPECT_EQ(reply->parameters["odd"].get<std::uint64_t>(), (std::uint64_t{1} << 53) + 1);
}

TEST(Encode, NeverPutsANulIntoTheText) {
  const auto text = encode(Call{"a.B", {{"x", "a\0b"s}}});
  EXPECT_EQ(text.find('\0'), std::string::npos);
  EXPECT_EQ(decode_call(text)->parameters["x"], "a\0b"s);
}

TEST(Encode, ReplacesBytesThatAreNoUtf8) {
  const auto text = encode(Reply{"io.memio.InvalidName", {{"message", "not a name: \xff"}}});
  const auto reply = decode_reply(text);
  ASSERT_TRUE(reply) << text;
  EXPECT_EQ(reply->parameters["message"], "not a name: \xef\xbf\xbd");
}

// Whatever bytes come, decoding answers; and what it accepts survives a round trip.
TEST(DecodeCall, SurvivesDamagedMessages) {
  const auto whole =
      encode(Call{"io.memio.Create", {{"name", "a"}, {"capacity", 1}, {"nested", {{"x", {1, 2.5, "y"}}}}}, true});
  std::mt19937 random(7);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto text = whole;
    for (int n = std::uniform_int_distribution<int>(1, 3)(random); n > 0; --n) {
      const auto at = std::uniform_int_distribution<std::size_t>(0, text.size() - 1)(random);
      const auto byte = static_cast<char>(std::uniform_int_distribution<int>(0, 255)(random));
      if (random() % 2 == 0)
        text[at] = byte;
      else
        text.erase(at, random() % 5);
      if (text.empty()) break;
    }
    const auto call = decode_call(text);
    if (!call) {
      ASSERT_EQ(call.error().code, Errc::malformed_message);
      ASSERT_FALSE(call.error().message.empty());
      continue;
    }
    ++accepted;
    const auto again = decode_call(encode(*call));
    ASSERT_TRUE(again) << text;
    ASSERT_EQ(again->parameters, call->parameters);
  }
  EXPECT_GT(accepted, 100);
}

TEST(ErrorReply, CarriesASentenceInOursAndTheSubjectInVarlinksOwn) {
  EXPECT_EQ(to_reply({Errc::invalid_name, 0, "it is empty"}).parameters, Json({{"message", "it is empty"}}));
  EXPECT_EQ(to_reply({Errc::invalid_parameter, 0, "name"}).parameters, Json({{"parameter", "name"}}));
  EXPECT_EQ(to_reply({Errc::method_not_found, 0, "a.B"}).parameters, Json({{"method", "a.B"}}));
  EXPECT_EQ(to_reply({Errc::method_not_implemented, 0, "a.B"}).parameters, Json({{"method", "a.B"}}));
  EXPECT_EQ(to_reply({Errc::interface_not_found, 0, "a"}).parameters, Json({{"interface", "a"}}));
  EXPECT_EQ(to_reply({Errc::expected_more, 0, "ignored"}).parameters, Json::object());
}

TEST(ErrorReply, CarriesTheKernelsWordWhereThereIsOne) {
  const auto reply = to_reply({Errc::out_of_resources, EMFILE, "making a region of 5 bytes"});
  EXPECT_EQ(reply.parameters["message"], "making a region of 5 bytes: Too many open files");
}

TEST(ErrorReply, ReadsBackAsTheSameErrorWithASentence) {
  for (unsigned i = 0; i <= static_cast<unsigned>(Errc::expected_more); ++i) {
    const auto code = static_cast<Errc>(i);
    const auto error = to_error(*decode_reply(encode(to_reply({code, 0, "subject"}))));
    EXPECT_EQ(error.code, code);
    if (code != Errc::expected_more) {
      EXPECT_THAT(error.message, HasSubstr("subject"));
    }
    EXPECT_FALSE(error.message.empty()) << error_name(code);
  }
}

TEST(ErrorReply, OfAPeerThatKnowsMoreErrorsIsAProtocolViolationThatNamesIt) {
  const auto error = to_error({"io.memio.FromTheFuture", {{"message", "x"}}});
  EXPECT_EQ(error.code, Errc::protocol_violation);
  EXPECT_THAT(error.message, HasSubstr("io.memio.FromTheFuture"));
}

TEST(ErrorReply, WithoutTheRightFieldIsStillThatError) {
  EXPECT_EQ(to_error({"io.memio.NoSuchRegion"}).code, Errc::no_such_region);
  EXPECT_EQ(to_error({"io.memio.NoSuchRegion", {{"message", 7}}}).code, Errc::no_such_region);
  EXPECT_EQ(to_error({"org.varlink.service.InvalidParameter"}).code, Errc::invalid_parameter);
}

}  // namespace
}  // namespace memio

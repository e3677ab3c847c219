// SPDX-License-Identifier: MIT
// Every message kind of the protocol as text beside its parts: proto/testdata. The TypeScript tests read the same
// files.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "memio/message.h"
#include "memio/protocol_json.h"

namespace memio {
namespace {

struct Golden {
  std::string name;  // of the file, without .json
  Json content;

  [[nodiscard]] std::string text() const { return content.at("text"); }
  [[nodiscard]] const Json& parts() const { return content.at("parts"); }
  [[nodiscard]] bool is_call() const { return content.at("kind") == "call"; }
  // Whether we would write the text just so.
  [[nodiscard]] bool canonical() const { return content.value("canonical", true); }
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

std::vector<Golden> all_golden() {
  std::vector<Golden> all;
  for (const auto& entry : std::filesystem::directory_iterator(MEMIO_PROTO_DIR "/testdata")) {
    std::ifstream file(entry.path());
    all.push_back({entry.path().stem(), Json::parse(file)});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

template <protocol::Struct T>
Result<std::string> round_trip(const Json& parameters) {
  auto value = protocol::parse<T>(parameters);
  if (!value) return fail(value.error());
  return protocol::to_text(*value).text;
}

// How to read and write again each type that a golden message may name.
const std::map<std::string, std::function<Result<std::string>(const Json&)>>& types() {
  static const std::map<std::string, std::function<Result<std::string>(const Json&)>> all = {
      {"CreateParameters", round_trip<protocol::CreateParameters>},
      {"CreateReply", round_trip<protocol::CreateReply>},
      {"OpenParameters", round_trip<protocol::OpenParameters>},
      {"OpenReply", round_trip<protocol::OpenReply>},
      {"AttachParameters", round_trip<protocol::AttachParameters>},
      {"AttachReply", round_trip<protocol::AttachReply>},
      {"CloseParameters", round_trip<protocol::CloseParameters>},
      {"CloseReply", round_trip<protocol::CloseReply>},
      {"SealParameters", round_trip<protocol::SealParameters>},
      {"SealReply", round_trip<protocol::SealReply>},
      {"ListParameters", round_trip<protocol::ListParameters>},
      {"ListReply", round_trip<protocol::ListReply>},
      {"ListSessionsParameters", round_trip<protocol::ListSessionsParameters>},
      {"ListSessionsReply", round_trip<protocol::ListSessionsReply>},
      {"MetricsParameters", round_trip<protocol::MetricsParameters>},
      {"MetricsReply", round_trip<protocol::MetricsReply>},
      {"StatParameters", round_trip<protocol::StatParameters>},
      {"StatReply", round_trip<protocol::StatReply>},
      {"RemoveParameters", round_trip<protocol::RemoveParameters>},
      {"WatchParameters", round_trip<protocol::WatchParameters>},
      {"WatchReply", round_trip<protocol::WatchReply>},
      {"OpenConnectionParameters", round_trip<protocol::OpenConnectionParameters>},
      {"OpenConnectionReply", round_trip<protocol::OpenConnectionReply>},
      {"TakeOverParameters", round_trip<protocol::TakeOverParameters>},
      {"TakeOverReply", round_trip<protocol::TakeOverReply>},
      {"ReceiveParameters", round_trip<protocol::ReceiveParameters>},
      {"HandleParameters", round_trip<protocol::HandleParameters>},
      {"UnhandleParameters", round_trip<protocol::UnhandleParameters>},
      {"ListenParameters", round_trip<protocol::ListenParameters>},
      {"UnlistenParameters", round_trip<protocol::UnlistenParameters>},
      {"InvokeParameters", round_trip<protocol::InvokeParameters>},
      {"CancelParameters", round_trip<protocol::CancelParameters>},
      {"AnswerParameters", round_trip<protocol::AnswerParameters>},
      {"EmitParameters", round_trip<protocol::EmitParameters>},
      {"ReceiveReply", round_trip<protocol::ReceiveReply>},
      {"InvokeReply", round_trip<protocol::InvokeReply>},
  };
  return all;
}

class GoldenMessage : public testing::TestWithParam<Golden> {};

TEST_P(GoldenMessage, DecodesToItsPartsAndEncodesBack) {
  const Golden& golden = GetParam();
  const Json& parts = golden.parts();
  std::string encoded;
  if (golden.is_call()) {
    const auto call = decode_call(golden.text());
    ASSERT_TRUE(call) << call.error().text();
    EXPECT_EQ(call->method, parts.at("method"));
    EXPECT_EQ(Json::parse(to_text(call->parameters)), parts.at("parameters"));
    EXPECT_EQ(call->more, parts.at("more"));
    EXPECT_EQ(call->oneway, parts.at("oneway"));
    encoded = encode(*call);
  } else {
    const auto reply = decode_reply(golden.text());
    ASSERT_TRUE(reply) << reply.error().text();
    const auto passed_on = decode_reply(golden.text(), Objects::passed_on);
    ASSERT_TRUE(passed_on) << passed_on.error().text();
    EXPECT_EQ(Json::parse(to_text(passed_on->parameters)), parts.at("parameters"));
    EXPECT_EQ(reply->error, parts.at("error"));
    EXPECT_EQ(reply->parameters, parts.at("parameters"));
    EXPECT_EQ(reply->continues, parts.at("continues"));
    encoded = encode(*reply);
  }
  if (golden.canonical()) {
    EXPECT_EQ(encoded, golden.text());
  }
}

TEST_P(GoldenMessage, HasParametersOfItsTypeIfItNamesOne) {
  const Golden& golden = GetParam();
  if (!golden.content.contains("type")) return;  // Varlink's own, or an error
  const auto type = types().find(golden.content.at("type"));
  ASSERT_NE(type, types().end());
  const auto again = type->second(golden.parts().at("parameters"));
  ASSERT_TRUE(again) << again.error().text();
  if (golden.canonical()) {
    EXPECT_EQ(*again, golden.parts().at("parameters").dump());
  }
}

TEST_P(GoldenMessage, RefersToEachOfItsDescriptorsOnce) {
  std::multiset<unsigned> indices;
  const std::function<void(const Json&)> collect = [&](const Json& json) {
    for (const auto& item : json.items()) {
      if (item.key().ends_with("ileDescriptor")) indices.insert(item.value().get<unsigned>());
      if (item.key().ends_with("fileDescriptors"))
        for (const auto& index : item.value()) indices.insert(index.get<unsigned>());
      if (item.value().is_structured()) collect(item.value());
    }
  };
  collect(GetParam().parts().at("parameters"));
  std::multiset<unsigned> expected;
  for (unsigned i = 0; i < GetParam().content.at("fileDescriptors").get<unsigned>(); ++i) expected.insert(i);
  EXPECT_EQ(indices, expected);
}

TEST_P(GoldenMessage, IsAnErrorThatWeKnowIfItIsOne) {
  const std::string name = GetParam().is_call() ? "" : GetParam().parts().at("error").get<std::string>();
  if (name.empty()) return;
  const auto error = to_error(*decode_reply(GetParam().text()));
  EXPECT_EQ(error.name(), name);
  EXPECT_EQ(to_reply(error).error, name);
}

INSTANTIATE_TEST_SUITE_P(Testdata, GoldenMessage, testing::ValuesIn(all_golden()),
                         [](const auto& test) { return test.param.name; });

TEST(GoldenMessages, CoverEveryMethodErrorAndEvent) {
  std::set<std::string> methods;
  std::set<std::string> typed_replies;
  std::set<std::string> errors;
  std::set<std::string> events;
  std::set<std::string> deliveries;
  for (const auto& golden : all_golden()) {
    if (golden.is_call()) {
      methods.insert(golden.parts().at("method"));
      continue;
    }
    errors.insert(golden.parts().at("error"));
    const std::string type = golden.content.value("type", "");
    typed_replies.insert(type);
    if (type == "WatchReply") events.insert(golden.parts().at("parameters").at("event"));
    if (type == "ReceiveReply") deliveries.insert(golden.parts().at("parameters").at("kind"));
  }
  const std::string interface(protocol::interface_description);
  const std::regex declaration("\nmethod ([A-Za-z]+)\\([^)]*\\) -> \\((\\))?");
  int declared = 0;
  for (std::sregex_iterator i(interface.begin(), interface.end(), declaration), end; i != end; ++i, ++declared) {
    const std::string method = (*i)[1];
    EXPECT_TRUE(methods.contains("io.memio." + method)) << method;
    EXPECT_TRUE(types().contains(method + "Parameters")) << method;
    // One that answers nothing, as Close does, is enough.
    if (!(*i)[2].matched) {
      EXPECT_TRUE(typed_replies.contains(method + "Reply")) << method;
    }
  }
  EXPECT_GE(declared, 10);
  for (const auto name : protocol::error_names) EXPECT_TRUE(errors.contains(std::string(name))) << name;
  for (const auto name : protocol::EnumNames<protocol::EventKind>::names)
    EXPECT_TRUE(events.contains(std::string(name))) << name;
  for (const auto name : protocol::EnumNames<protocol::DeliveryKind>::names)
    EXPECT_TRUE(deliveries.contains(std::string(name))) << name;
}

}  // namespace
}  // namespace memio

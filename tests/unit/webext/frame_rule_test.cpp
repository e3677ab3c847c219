// SPDX-License-Identifier: MIT
#include "common/frame_rule.h"

#include <gtest/gtest.h>

namespace memio::webext {

namespace {

std::vector<OriginPattern> patterns(std::initializer_list<const char*> texts) {
  std::vector<OriginPattern> list;
  for (const char* text : texts) list.push_back(*OriginPattern::parse(text));
  return list;
}

FrameAddress at(const char* own, std::initializer_list<const char*> around = {}) {
  FrameAddress address{*Origin::of_uri(own), {}};
  for (const char* uri : around) address.around.push_back(*Origin::of_uri(uri));
  return address;
}

TEST(FrameRule, MainFramesAndThoseInsideAreTwoThings) {
  const FrameRule main{patterns({"https://a"}), Frames::main, {}};
  const FrameRule inside{patterns({"https://a"}), Frames::inside, patterns({"https://top"})};
  const FrameRule all{patterns({"https://a"}), Frames::all, patterns({"https://top"})};
  EXPECT_TRUE(main.matches(at("https://a/")) && all.matches(at("https://a/")));
  EXPECT_FALSE(inside.matches(at("https://a/")));
  EXPECT_TRUE(inside.matches(at("https://a/", {"https://top/"})) && all.matches(at("https://a/", {"https://top/"})));
  EXPECT_FALSE(main.matches(at("https://a/", {"https://top/"})));
  EXPECT_FALSE(inside.matches(at("https://b/", {"https://top/"})));
}

TEST(FrameRule, EveryFrameAroundMustBeOfWithin) {
  const FrameRule rule{patterns({"https://a"}), Frames::inside, patterns({"https://top", "https://a"})};
  EXPECT_TRUE(rule.matches(at("https://a/", {"https://a/", "https://top/"})));
  EXPECT_FALSE(rule.matches(at("https://a/", {"https://evil/", "https://top/"})));
  EXPECT_FALSE(rule.matches(at("https://a/", {"https://top/", "https://evil/"})));
}

TEST(FrameRule, FilesInsidePagesMatchNothing) {
  const FrameRule rule{patterns({"file://", "*"}), Frames::all, patterns({"*"})};
  EXPECT_TRUE(rule.matches(at("file:///x")));
  EXPECT_FALSE(rule.matches(at("file:///x", {"file:///y"})));
}

TEST(FrameRule, SurvivesTheWayToTheWebProcess) {
  const DocumentRule rule{
      {patterns({"https://a", "https://*.b:81"}), Frames::all, patterns({"*"})}, true, {{"webview2"}, true}};
  GVariant* variant = g_variant_ref_sink(to_variant(rule));
  const auto told = to_document_rule(variant);
  g_variant_unref(variant);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->grants && told->options.workers);
  EXPECT_EQ(told->options.compatibility, std::vector<std::string>{"webview2"});
  EXPECT_TRUE(told->frames.matches(at("https://x.b:81/", {"https://y/"})));
}

TEST(FrameRule, OptionsOfAllRulesThatMatchAndNoneWithoutGrants) {
  const DocumentRule grants{{patterns({"https://a"}), Frames::main, {}}, true, {{"webview2"}, false}};
  const DocumentRule option{{patterns({"*"}), Frames::main, {}}, false, {{"webview2", "memio-tauri"}, true}};
  const auto options = options_of({grants, option}, at("https://a/"));
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->workers);
  EXPECT_EQ(options->compatibility, (std::vector<std::string>{"webview2", "memio-tauri"}));
  EXPECT_FALSE(options_of({grants, option}, at("https://b/")));
}

}  // namespace

}  // namespace memio::webext

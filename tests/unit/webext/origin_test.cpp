// SPDX-License-Identifier: MIT
#include "common/origin.h"

#include <gtest/gtest.h>

namespace memio::webext {

namespace {

bool matches(const char* pattern, const char* uri) {
  const auto parsed = OriginPattern::parse(pattern);
  const auto origin = Origin::of_uri(uri);
  return parsed && origin && parsed->matches(*origin);
}

TEST(Origin, WhatHasNoOriginOfItsOwnHasNone) {
  for (const char* uri :
       {"about:blank", "about:srcdoc", "data:text/html,x", "blob:https://a/1", "null", "", "not a uri"})
    EXPECT_FALSE(Origin::of_uri(uri)) << uri;
  EXPECT_FALSE(Origin::of_uri(nullptr));
}

TEST(Origin, SchemeHostAndPortMatter) {
  EXPECT_TRUE(matches("https://app.local", "https://APP.local/x?y#z"));
  EXPECT_TRUE(matches("https://app.local", "https://app.local:443/"));
  EXPECT_FALSE(matches("https://app.local", "http://app.local/"));
  EXPECT_FALSE(matches("https://app.local", "https://app.local:8443/"));
  EXPECT_FALSE(matches("https://app.local", "https://app.local.evil/"));
  EXPECT_FALSE(matches("https://app.local", "https://evil/@app.local"));
  EXPECT_FALSE(matches("page://app.local", "page://app%2elocal/"));
  EXPECT_TRUE(matches("https://*.app.local", "https://a.b.app.local/"));
  EXPECT_FALSE(matches("https://*.app.local", "https://app.local/"));
  EXPECT_FALSE(matches("https://*.app.local", "https://evilapp.local/"));
  EXPECT_TRUE(matches("page://*:*", "page://x:7/"));
  EXPECT_TRUE(matches("file://", "file:///etc/x"));
  EXPECT_TRUE(matches("*", "https://any/"));
}

TEST(Origin, MistakesInPatternsAreTold) {
  for (const char* text :
       {"app.local", "https://", "https://a.*.b", "https://a:0", "https://a:99999", "https://a/b", "://a", "file://x"})
    EXPECT_EQ(OriginPattern::parse(text).error().code, Errc::invalid_pattern) << text;
}

}  // namespace

}  // namespace memio::webext

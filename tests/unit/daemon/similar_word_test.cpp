// SPDX-License-Identifier: MIT
#include "similar_word.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace memio::broker {
namespace {

constexpr std::array<std::string_view, 4> known = {"regions", "queuedBytes", "fds", "user"};

TEST(SimilarWord, FindsWhatWasMeant) {
  EXPECT_EQ(similar_word("regoins", known), "regions");
  EXPECT_EQ(similar_word("queuedbytes", known), "queuedBytes");
  EXPECT_EQ(similar_word("queued_bytes", known), "queuedBytes");
  EXPECT_EQ(similar_word("fd", known), "fds");
  EXPECT_EQ(similar_word("users", known), "user");
}

TEST(SimilarWord, DoesNotGuessWildly) {
  EXPECT_EQ(similar_word("colour", known), std::nullopt);
  EXPECT_EQ(similar_word("", known), std::nullopt);
  EXPECT_EQ(similar_word(std::string(100'000, 'x'), known), std::nullopt);
  EXPECT_EQ(similar_word("a", {}), std::nullopt);
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "copy_past_caches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace memio {
namespace {

// At every alignment of either side, and around the lengths at which it goes another way.
TEST(CopyPastCaches, CopiesThatAndNothingElse) {
  constexpr std::size_t longest = 4096 + 130;
  constexpr std::size_t margin = 64;
  constexpr std::byte untouched{0xa5};
  std::vector<std::byte> from(margin + longest);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 2654435761U >> 16);
  std::vector<std::byte> to(longest + 3 * margin);
  for (const std::size_t length : {0UL, 1UL, 63UL, 64UL, 4095UL, 4096UL, 4097UL, 4159UL, 4160UL, longest})
    for (std::size_t to_offset = 0; to_offset < margin; ++to_offset)
      for (const std::size_t from_offset : {0UL, 1UL, 15UL, 16UL, 63UL}) {
        std::fill(to.begin(), to.end(), untouched);
        const auto source = std::span(from).subspan(from_offset, length);
        copy_past_caches(std::span(to).subspan(margin + to_offset), source);
        std::vector<std::byte> expected(to.size(), untouched);
        std::copy(source.begin(), source.end(), expected.begin() + static_cast<std::ptrdiff_t>(margin + to_offset));
        ASSERT_EQ(to, expected) << length << " bytes to " << to_offset << " from " << from_offset;
      }
}

}  // namespace
}  // namespace memio

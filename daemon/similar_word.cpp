// SPDX-License-Identifier: MIT
#include "similar_word.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <vector>

namespace memio::broker {

namespace {

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// How many letters have to be put in, taken out or changed to make one word of the other (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // of the letters of `a` so far, to each beginning of `b`
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto changed = diagonal + (same_letter(a[i], b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string_view> similar_word(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t longest = 40;
  if (word.size() > longest || known.empty()) return std::nullopt;
  const auto nearest =
      *std::ranges::min_element(known, {}, [&](std::string_view other) { return distance(word, other); });
  return distance(word, nearest) <= 1 + nearest.size() / 4 ? std::optional(nearest) : std::nullopt;
}

}  // namespace memio::broker

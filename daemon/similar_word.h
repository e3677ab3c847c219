// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace memio::broker {

// The word of `known` that somebody may have meant who wrote `word`, if one is near enough.
[[nodiscard]] std::optional<std::string_view> similar_word(std::string_view word,
                                                           std::span<const std::string_view> known);

}  // namespace memio::broker

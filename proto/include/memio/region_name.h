// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "memio/result.h"

namespace memio {

inline constexpr std::size_t max_name_length = 200;

// A name of a region, a command or a topic: 1 to 200 of [A-Za-z0-9._/-], made of components divided by '/', none of
// them empty, "." or "..". The error says which rule was broken and where.
Result<void> check_name(std::string_view name);

// A pattern over names: as a name, and '*' stands for any run of characters but '/', '**' for any run at all.
Result<void> check_pattern(std::string_view pattern);

// Whether a checked pattern matches a whole name. Time is at most proportional to the sum of the lengths.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name) noexcept;

}  // namespace memio

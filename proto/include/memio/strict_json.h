// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "memio/message.h"

namespace memio {

// What is wrong with a text that should be JSON.
struct JsonProblem {
  std::string what;      // a predicate: "is not JSON", "has the member 'a' twice"
  std::size_t byte = 0;  // where, counted from 1; 0 if that is not known
  std::string expected;  // what the parser expected there; may be empty
};

// Parses JSON as everything here does that reads what others wrote: at most max_nesting deep, no member twice, no
// number that is too large. Never throws but for lack of memory.
tl::expected<Json, JsonProblem> parse_strictly(std::string_view text);

// What nlohmann's parser says in an error that it expected; empty if it does not say so. Nothing of the text that it
// read.
[[nodiscard]] std::string expectation_of(const Json::exception& error);

// Where a byte of a text is, for people; all from 1.
struct TextPlace {
  std::size_t line = 1;
  std::size_t column = 1;
};
[[nodiscard]] TextPlace find_place(std::string_view text, std::size_t byte);

}  // namespace memio

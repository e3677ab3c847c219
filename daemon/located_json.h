// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memio/message.h"

namespace memio::broker {

// JSON that a person wrote: comments are allowed, and each value knows where in the text it stands, so that whatever is
// wrong with it can be shown there.
struct LocatedJson {
  struct Member;

  Json value;                         // of everything but objects and arrays, for which it says only which it is
  std::size_t byte = 0;               // where it begins, from 0
  std::vector<Member> members;        // of an object, in their order
  std::vector<LocatedJson> elements;  // of an array
};

struct LocatedJson::Member {
  std::string name;
  std::size_t byte = 0;  // where the name begins
  LocatedJson value;
};

struct LocatedProblem {
  std::size_t byte = 0;
  std::string what;
};

// As parse_strictly(), besides: at most max_nesting deep, no member twice, no number that is too large.
tl::expected<LocatedJson, LocatedProblem> parse_located(std::string_view text);

}  // namespace memio::broker

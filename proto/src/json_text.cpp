// SPDX-License-Identifier: MIT
#include "memio/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace memio {

namespace {

bool stands_as_it_is(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

}  // namespace

void append_json_string(std::string& to, std::string_view value) {
  if (!std::ranges::all_of(value, stands_as_it_is)) {
    using Json = nlohmann::json;
    to += Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  to += '"';
  to += value;
  to += '"';
}

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

// JSON values of which nobody here wants to know more than their text, within the others that are read field by field:
// a command's arguments, which memiod passes on. In a Json one is a `binary` value, which no JSON text can bring in.

#include <nlohmann/json.hpp>
#include <string>

#include "memio/json_text.h"

namespace memio {

using Json = nlohmann::json;

// A value that is written as its text, which must be JSON.
[[nodiscard]] Json to_raw(std::string text);
[[nodiscard]] inline bool is_raw(const Json& json) noexcept { return json.is_binary(); }

// A value as text, without spaces; raw values within it as they are. Bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string to_text(const Json& json);

}  // namespace memio

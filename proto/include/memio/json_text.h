// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace memio {

// JSON that has been written. protocol::to_text() makes it of a value, without the tree of nodes that a Json is: to
// make that and to let go of it takes longer than all the rest of an answer.
struct JsonText {
  std::string text = "{}";
};

// Appends a string as JSON has it, in quotes. Bytes that are no UTF-8 cannot stand there, and are replaced.
void append_json_string(std::string& to, std::string_view value);

}  // namespace memio

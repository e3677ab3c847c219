// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace memio {

// JSON that has been written, as text. What the protocol calls an object is one, of any kind, because whoever passes it
// on need not take it apart; and protocol::to_text() makes one of a value, without the tree of nodes that a Json is: to
// make that and to let go of it takes longer than all the rest of an answer. Whoever makes one sees to it that it is
// well-formed.
struct JsonText {
  std::string text = "{}";
  bool operator==(const JsonText&) const = default;
};

// Appends a string as JSON has it, in quotes. Bytes that are no UTF-8 cannot stand there, and are replaced.
void append_json_string(std::string& to, std::string_view value);

}  // namespace memio

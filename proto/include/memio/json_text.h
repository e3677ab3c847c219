// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace memio {

// A JSON value of any kind as its text: what the protocol calls an object, which whoever passes it on need not take
// apart. One that came in a message is well-formed (strict_json.h); whoever makes one sees to that.
struct JsonText {
  std::string text = "null";
  bool operator==(const JsonText&) const = default;
};

}  // namespace memio

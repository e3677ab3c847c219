// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include "policy.h"

namespace memio::webext {

// Reads rules from JSON text; webext/POLICY.md has the format. Error: invalid_parameter, whose message says in which
// place what was expected, as in "rules[2].grants[0].rights[1]: expected one of read, write, ..., not \"reed\"".
Result<std::vector<Rule>> parse_policy(std::string_view text);

}  // namespace memio::webext

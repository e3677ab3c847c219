// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace memio::demo {

// One line of the table that `run --check` prints.
struct Finding {
  std::string what;
  std::string measured;
  std::string wanted;
  bool passed = false;
};

// Judges what page/check.js reported. `file_sha256` is what somebody else found of the file that was chosen. Whatever
// the report lacks counts as failed.
[[nodiscard]] std::vector<Finding> judge(const nlohmann::json& report, const std::string& file_sha256);

// Prints the table to standard output.
void print(const std::vector<Finding>& findings);

}  // namespace memio::demo

// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace memio::test {

// Marks in a traced child where a section of interest begins and ends.
class TracedSection {
 public:
  explicit TracedSection(unsigned id);
  ~TracedSection();
};

// The numbers of the system calls that `body` makes in each of its sections. `body` runs in a forked child; throws if
// the child ends with anything but 0, or if the system does not let us trace it.
using SystemCalls = std::map<unsigned, std::vector<long>>;
[[nodiscard]] SystemCalls trace_system_calls(const std::function<int()>& body);

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>

namespace memio::test {

// Where failing_calls.cpp, preloaded into a program, looks which call to the system is to fail: a file of this size,
// whose name is in MEMIO_FAULTS.
struct Faults {
  std::atomic<int> countdown;   // of the calls that could fail, which one does; 0: none
  std::atomic<int> error;       // with which errno
  std::atomic<int> process;     // in which alone it does; 0: in any; negative: in any but that
  std::array<char, 32> failed;  // the name of the call that did
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace memio::test {

// The descriptors that are open now, and what each of them is.
[[nodiscard]] std::map<int, std::string> open_fds();

// Fails every test after which a descriptor is open that was not open before. main() in this folder installs it.
class FdLeakCheck : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override;
  void OnTestEnd(const testing::TestInfo&) override;

 private:
  std::map<int, std::string> before_;
};

}  // namespace memio::test

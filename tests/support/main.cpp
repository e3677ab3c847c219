// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "support/fd_leak_check.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new memio::test::FdLeakCheck);  // GoogleTest owns it
  return RUN_ALL_TESTS();
}

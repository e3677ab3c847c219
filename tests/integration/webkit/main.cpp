// SPDX-License-Identifier: MIT
// Without the leak check of the other programs: GTK and WebKit open descriptors for good when they are first used, and
// close those of a web process some time after it has ended. Each test looks for leaks of what is memiod's instead
// (~WebKitTest), and Lifetime.ManyDocumentsLeaveNoDescriptorsHere counts all over many documents.
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

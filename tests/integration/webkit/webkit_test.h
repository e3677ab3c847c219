// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include "browser.h"
#include "memio/client.h"
#include "support/daemon.h"

namespace memio::test {

// A memiod of its own, a native client of it, and a policy that allows https://app.local everything below "t/".
class WebKitTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  WebKitTest();
  // Looks for web processes that have crashed, and for leaks, once all that a test has is gone: of descriptors in
  // memiod, and of its memory files in this program.
  ~WebKitTest() override;

  // A region for tests, made by the native side.
  Region make_region(const std::string& name, std::uint64_t capacity = 4096, unsigned slots = 4);
  // How many handles of a region are open, this program's included.
  std::uint64_t handles(const std::string& name);
  // Makes changes of native regions arrive: dispatches the native client.
  bool wait_for_handles(const std::string& name, std::uint64_t count);

  Daemon daemon_;
  Client client_;
  webext::ObjectPtr<MemioWebkit> memio_;

  int expected_terminations_ = 0;
  int terminations_before_ = Browser::all_terminations();

  // From now on more descriptors in memiod than there are now are a leak.
  void count_descriptors();

 private:
  std::size_t daemon_fds_ = 0;
};

// "publish this text natively", in one line.
Result<std::uint64_t> publish(Region& region, std::string_view text,
                              std::optional<std::uint64_t> version = std::nullopt);
std::string text_of(Region& region);

}  // namespace memio::test

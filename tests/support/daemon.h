// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include "memio/client.h"
#include "support/memiod.h"
#include "support/notifications.h"

namespace memio::test {

// A test's own memiod. When destroyed it is told to end, and checked to have ended well.
class Daemon : public Memiod {
 public:
  using Memiod::Memiod;
  ~Daemon();

  [[nodiscard]] Client connect() const;
  // Descriptors that it has open now.
  [[nodiscard]] std::size_t open_fds() const;
};

// A test with a memiod.
class DaemonTest : public testing::Test {
 protected:
  DaemonTest() = default;
  explicit DaemonTest(const std::string& config, const Process::Environment& environment = {})
      : daemon_(config, environment) {}
  // A process that has leased the region's latest slot, and keeps it as long as it lives.
  [[nodiscard]] Process start_leasing(const std::string& region) const;

  Daemon daemon_;
};

}  // namespace memio::test

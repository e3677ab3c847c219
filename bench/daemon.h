// SPDX-License-Identifier: MIT
#pragma once

#include "memio/client.h"
#include "process.h"

namespace memio::bench {

// A memiod of the benchmark's own, in a directory of its own.
class Daemon {
 public:
  Daemon();
  [[nodiscard]] Client connect() const;

 private:
  TemporaryDirectory directory_;
  Process process_;
};

}  // namespace memio::bench

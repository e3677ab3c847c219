// SPDX-License-Identifier: MIT
#pragma once

// iceoryx 2.0.3, a zero-copy publish/subscribe middleware over shared memory, as a peer.

#include <optional>

#include "ping_pong.h"

namespace memio::bench {

// Two processes that exchange messages through iceoryx, and its daemon, RouDi, with a configuration that is large
// enough for them. Neither is this process: RouDi takes its clients with it when it ends.
class IceoryxPair {
 public:
  IceoryxPair(Waiting waiting, unsigned first_cpu, unsigned second_cpu);
  IceoryxPair(const IceoryxPair&) = delete;
  IceoryxPair& operator=(const IceoryxPair&) = delete;
  ~IceoryxPair();

  // False if RouDi is not installed, or does not start because another one runs on this machine.
  [[nodiscard]] bool ready() const noexcept { return ready_; }
  // As the function above.
  double round_trip();

 private:
  test::TemporaryDirectory directory_;
  Process roudi_;
  bool ready_;
  Shared<double> seconds_;
  UniqueFd measured_;
  // Last: they leave before RouDi.
  std::optional<Partner> second_;
  std::optional<Partner> first_;
};

}  // namespace memio::bench

// SPDX-License-Identifier: MIT
#pragma once

namespace memio::detail {

// Somebody whom a doorbell calls. ClientCore::dispatch looks at each that was called.
class Subscriber {
 public:
  // Whether there is something to tell of, and whether what comes next will ring. If not, the other side was faster
  // than this look, and another look is due.
  struct Look {
    bool changed = false;
    bool armed = false;
  };
  [[nodiscard]] virtual Look look() noexcept = 0;

 protected:
  Subscriber() = default;
  ~Subscriber() = default;
  Subscriber(const Subscriber&) = default;
  Subscriber& operator=(const Subscriber&) = default;
};

}  // namespace memio::detail

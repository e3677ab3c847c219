// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

#include "support/process.h"

namespace memio::test {

// A child that goes one machine instruction at a time, to be killed at any of them.
//
// It runs `prepare` freely, then `act` step by step, then waits to be killed. Made for x86-64: elsewhere single steps
// may keep a load-linked/store-conditional pair from ever succeeding.
class SteppedProcess {
 public:
  // Returns when `prepare` is done. Throws if the system does not let us trace a child.
  SteppedProcess(const std::function<void()>& prepare, const std::function<void()>& act);

  // Starts one instruction; wait() says when it is done, which for a system call that sleeps may be late.
  void start_step() const;
  // False if `act` is at its end.
  [[nodiscard]] bool wait() const;
  [[nodiscard]] bool step() const {
    start_step();
    return wait();
  }
  // Runs freely up to the next system call, which the step after this one makes.
  void run_to_system_call() const;
  [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }
  void kill();

 private:
  Process process_;
};

// Whether a process, or a thread by its id, sleeps in the kernel.
[[nodiscard]] bool is_asleep(pid_t id);

}  // namespace memio::test

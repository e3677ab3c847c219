// SPDX-License-Identifier: MIT
#pragma once

// Other processes to measure against, and where they run.

#include <sys/mman.h>

#include <cstddef>
#include <functional>
#include <new>

#include "support/process.h"

namespace memio::bench {

// Binds the calling process to one of the CPUs that it may use, counted from 0; the last one if there are fewer.
void pin_to_cpu(unsigned index);

// Asks that other programs disturb this process, and those it will fork, less; if that is allowed. memiod and its peers
// get it alike.
void run_before_others() noexcept;

using test::Process;

// A forked process that takes part in one round after another: a repetition of a benchmark each. Between rounds it
// sleeps, so that it takes no CPU from what is measured then.
class Partner {
 public:
  class Rounds {
   public:
    explicit Rounds(int fd) noexcept : fd_(fd) {}
    // Waits for the next round; false: there is none.
    [[nodiscard]] bool next() const noexcept;

   private:
    int fd_;
  };

  explicit Partner(const std::function<void(Rounds)>& body);
  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;
  // Ends the process. Partners end in the reverse of the order in which they were made, as objects of one block do: a
  // later one has the earlier ones' pipes.
  ~Partner();
  void begin_round() const;

 private:
  UniqueFd rounds_read_;
  UniqueFd rounds_write_;
  Process process_;
};

// Anonymous memory of at least `size` bytes, shared with processes forked later.
void* map_shared(std::size_t size);

// A T in memory that is shared with processes forked later.
template <class T>
class Shared {
 public:
  Shared() : value_(new (map_shared(sizeof(T))) T()) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(value_, sizeof(T)); }
  T* operator->() const noexcept { return value_; }
  T& operator*() const noexcept { return *value_; }

 private:
  T* value_;
};

}  // namespace memio::bench

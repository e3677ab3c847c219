// SPDX-License-Identifier: MIT
#pragma once

// Other processes to measure against, and where they run.

#include <sys/mman.h>
#include <sys/types.h>

#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memio/unique_fd.h"

namespace memio::bench {

// Binds the calling process to one of the CPUs that it may use, counted from 0; the last one if there are fewer.
void pin_to_cpu(unsigned index);

// Asks that other programs disturb this process, and those it will fork, less; if that is allowed. memiod and its peers
// get it alike.
void run_before_others() noexcept;

// A child process; killed and waited for by the destructor if it still runs. Children end with their parent.
class Process {
 public:
  // Runs a program. What it writes to standard output can be read from output().
  static Process run(const std::vector<std::string>& command);
  // Runs a function in a forked child.
  static Process fork(const std::function<void()>& body);

  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] int output() const noexcept { return output_.get(); }
  // Waits for the end.
  void wait() noexcept;
  // SIGTERM, and waits for the end.
  void stop() noexcept;

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
  UniqueFd output_;
};

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

// A fresh directory, removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// Waits until `text` is among what can be read from `fd`; false after `seconds`, or if the writer ended.
bool wait_for_text(int fd, std::string_view text, int seconds);

}  // namespace memio::bench

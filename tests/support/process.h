// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "memio/unique_fd.h"

namespace memio::test {

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

// A child process; killed and waited for by the destructor if it still runs. It ends with the thread that started it,
// however that ends, so nothing is left behind.
class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  // Runs a program with `environment` added to ours. Standard output can be read through output() if `capture` is set.
  static Process run(const std::vector<std::string>& command, const Environment& environment = {},
                     bool capture = false);
  // Runs a function in a forked child; what it returns is the exit code. What it throws aborts the child.
  static Process fork(const std::function<int()>& body);

  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // Readable when it has ended.
  [[nodiscard]] UniqueFd pidfd() const;
  void signal(int number) const;
  // Waits for the end: the exit code, or 128 + the signal that ended it.
  int wait();
  // All that the program wrote to standard output, up to its end.
  std::string read_all();
  [[nodiscard]] int output() const noexcept { return output_.get(); }

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
  UniqueFd output_;
};

// How many descriptors this process, and those that it starts from now on, may have: `wanted`, if the hard limit allows
// it or may be raised, as root may; else as many as the hard limit says.
std::uint64_t raise_descriptor_limit(std::uint64_t wanted);

// A pipe's ends, to read from and to write to.
std::pair<UniqueFd, UniqueFd> make_pipe();

// Two processes that take turns: each waits until the other has passed.
class Turnstile {
 public:
  Turnstile();
  void pass() const;  // lets one wait() go on
  void wait() const;  // throws after 20 s

 private:
  UniqueFd read_;
  UniqueFd write_;
};

}  // namespace memio::test

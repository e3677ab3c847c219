// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <utility>

namespace memio {

// Owns one file descriptor and closes it.
//
// Ownership is in the type: a function that takes `int fd` only borrows it, one that takes UniqueFd by value
// keeps it. There is no conversion to int or bool, so a descriptor is never mistaken for a number. This header holds
// the project's only call of close(2).
//
// Thread-safety: as a std::unique_ptr.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  // Takes over `fd`; a negative number means none.
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  // The descriptor, still owned by this object; -1 if none.
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  // Gives the descriptor away: the caller must close it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  // Closes it, and says whether all went well that was done with it before: some file systems tell only now. If not,
  // errno is close(2)'s; it is closed all the same.
  [[nodiscard]] bool close() noexcept { return ::close(release()) == 0; }

  void reset(int fd = -1) noexcept {
    // Linux frees the descriptor even when close() reports an error, so there is nothing to try again.
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

void close(UniqueFd) = delete;

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "memio/protocol.h"
#include "memio/result.h"

namespace memio {

// Owns one shared mapping of a file and unmaps it.
class Mapping {
 public:
  Mapping() noexcept = default;
  // Maps the first `size` bytes of `fd`. Error: system.
  static Result<Mapping> map(int fd, std::uint64_t size, protocol::Access access);
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace memio

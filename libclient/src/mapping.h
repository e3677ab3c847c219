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
  enum class Pages : std::uint8_t { small, huge };
  // Maps the first `size` bytes of `fd`; with huge pages where the system gives them. Errors: corrupt, system.
  static Result<Mapping> map(int fd, std::uint64_t size, protocol::Access access, Pages pages = Pages::small);
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        access_(other.access_),
        pages_(other.pages_) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(access_, other.access_);
    std::swap(pages_, other.pages_);
    return *this;
  }
  ~Mapping();

  // Has the first `size` bytes' memory allocated and mapped now. Error: system.
  Result<void> prefault(std::uint64_t size) const;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  protocol::Access access_ = protocol::Access::read;
  Pages pages_ = Pages::small;
};

}  // namespace memio

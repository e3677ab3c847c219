// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

namespace memio::broker {

class Store;

// A region's place in the ledger and in the store: what the next memiod will know of it. The region tells it of every
// change, and ends it with itself.
class Record {
 public:
  Record(Store& store, std::uint32_t index) noexcept : store_(store), index_(index) {}
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  ~Record();

  void set_taken(std::uint32_t cell, bool taken) noexcept;
  void set_creator_cell(std::uint32_t cell) noexcept;
  void set_nameless() noexcept;
  // By CLOCK_MONOTONIC; 0: it is open.
  void set_unused_since(std::chrono::microseconds when) noexcept;

 private:
  Store& store_;
  std::uint32_t index_;
};

}  // namespace memio::broker

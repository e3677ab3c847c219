// SPDX-License-Identifier: MIT
#pragma once

// What memiod knows of its regions, written where it outlives memiod: in a memory file that memiod alone has, and hands
// to the next one. Shared memory keeps what was stored before a SIGKILL, and storing costs no system call.
//
// A header, then records of a fixed size, one a region. A record counts when its state says so, which is stored last.
// The header has a version and the size of its records: a later memiod reads the versions before its own; a version
// that it does not know it refuses. Fields are only ever added, in bytes that were zero; what cannot be read so gets a
// new version.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "region.h"

namespace memio::broker {

// What a record says.
struct RegionRecord {
  Region::Spec spec;
  std::uint64_t region_inode = 0;  // tells the region's descriptors apart
  std::uint64_t leases_inode = 0;
  std::vector<bool> taken;                      // cells of the lease table
  std::optional<std::uint32_t> creator_cell{};  // nothing: not known; 0: closed
  bool nameless = false;                        // it was removed, and is still open
  std::chrono::microseconds unused_since{};     // by CLOCK_MONOTONIC; 0: it is open
  std::optional<uid_t> owner{};                 // the user who pays for it; nothing: not known
};

class Ledger {
 public:
  using Index = std::uint32_t;

  // An empty one. Error: out_of_resources.
  static Result<Ledger> make();
  // One that an earlier memiod wrote. Errors: corrupt, saying why it cannot be read; out_of_resources.
  static Result<Ledger> read(UniqueFd file);
  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&&) = delete;
  ~Ledger();

  [[nodiscard]] int fd() const noexcept { return file_.get(); }

  // Adds a record. Error: out_of_resources.
  Result<Index> add(const RegionRecord& record);
  void erase(Index index) noexcept;
  // The records that count.
  [[nodiscard]] std::vector<Index> indices() const;
  // Error: corrupt.
  [[nodiscard]] Result<RegionRecord> get(Index index) const;

  void set_taken(Index index, std::uint32_t cell, bool taken) noexcept;
  void set_creator_cell(Index index, std::uint32_t cell) noexcept;
  void set_nameless(Index index) noexcept;
  void set_unused_since(Index index, std::chrono::microseconds when) noexcept;

  // The highest generation that any region has had.
  [[nodiscard]] std::uint64_t last_generation() const noexcept;
  void raise_generation(std::uint64_t generation) noexcept;

 private:
  struct Header;
  struct Record;

  explicit Ledger(UniqueFd file) : file_(std::move(file)) {}
  Result<void> map(std::uint64_t size);
  Result<void> grow();
  Result<void> check_header() const;
  [[nodiscard]] Header& header() const noexcept;
  [[nodiscard]] Record& record(Index index) const noexcept;

  UniqueFd file_;
  std::byte* memory_ = nullptr;
  std::uint64_t size_ = 0;
  std::vector<Index> free_;  // the lowest last
};

}  // namespace memio::broker

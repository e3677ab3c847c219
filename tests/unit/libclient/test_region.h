// SPDX-License-Identifier: MIT
#pragma once

// A region as memiod makes one, without memiod, and handles of it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "deadline.h"
#include "futex.h"
#include "mapping.h"
#include "memio/region_format.h"
#include "reader.h"
#include "region_memory.h"
#include "writer.h"

namespace memio::test {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline const Deadline no_deadline = std::nullopt;
inline Deadline now() { return Clock::now(); }
inline Deadline in(std::chrono::milliseconds time) { return Clock::now() + time; }

// Waits for another thread to bring something about; the test's time limit is the limit.
template <class Condition>
void wait_until(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

// One open handle with all that works on it, as one program has it.
struct Handle {
  explicit Handle(RegionMemory opened) : memory(std::move(opened)) {}
  Handle(const Handle&) = delete;

  // Publishes without waiting for anything. Fails the test if it cannot.
  std::uint64_t publish(std::string_view text, std::optional<std::uint64_t> version = std::nullopt) {
    const auto payload = writer.begin(text.size(), now());
    if (!payload) {
      ADD_FAILURE() << payload.error().text();
      return 0;
    }
    std::ranges::copy(bytes_of(text), payload->begin());
    const auto sequence = writer.commit(version);
    EXPECT_TRUE(sequence) << sequence.error().text();
    return sequence.value_or(0);
  }

  // Leases the latest publish. Fails the test if there is none to lease.
  Reader::Leased lease() {
    auto leased = reader.lease(std::nullopt, copy);
    if (!leased || !*leased) {
      ADD_FAILURE() << (leased ? "unchanged" : leased.error().text());
      return {};
    }
    return **leased;
  }

  // What lease() answers if it is an error; Errc::system otherwise.
  Errc lease_error() {
    const auto leased = reader.lease(std::nullopt, copy);
    return leased ? Errc::system : leased.error().code;
  }

  std::string read() {
    const auto leased = lease();
    auto text = text_of(leased.payload);
    reader.release(leased.slot);
    return text;
  }

  RegionMemory memory;
  Reader reader{memory};
  Writer writer{memory};
  std::vector<std::byte> copy;
};

class TestRegion {
 public:
  static constexpr std::uint32_t cells = 16;

  explicit TestRegion(unsigned slots, std::uint64_t capacity = 1000, Layout layout = Layout::memio64)
      : geometry_(Geometry::make(layout, slots, capacity).value()),
        region_(::memfd_create("region", MFD_CLOEXEC)),
        leases_(::memfd_create("leases", MFD_CLOEXEC)),
        doorbell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (::ftruncate(region_.get(), static_cast<off_t>(geometry_.total_size())) != 0 ||
        ::ftruncate(leases_.get(), static_cast<off_t>(format::lease_table_size(cells))) != 0)
      throw std::runtime_error("no memory for a test region");
    const auto header = format::initial_header(layout);
    for (unsigned slot = 0; slot < slots; ++slot)
      if (::pwrite(region_.get(), &header, sizeof header, static_cast<off_t>(geometry_.slot_offset(slot))) !=
          sizeof header)
        throw std::runtime_error("cannot write a slot's header");
    region_map_ = Mapping::map(region_.get(), geometry_.total_size(), protocol::Access::write).value();
    leases_map_ = Mapping::map(leases_.get(), format::lease_table_size(cells), protocol::Access::write).value();
    format::initialise_directory(directory(), geometry_);
    format::initialise_lease_table(table(), cells);
  }

  [[nodiscard]] const Geometry& geometry() const { return geometry_; }

  // What memiod sends to one that opens the region.
  RegionMemory::Parts parts(protocol::Access access) {
    const auto cell = table().cells_used.fetch_add(1);
    // Not a duplicate: a new description of its own access mode.
    const auto path = "/proc/self/fd/" + std::to_string(region_.get());
    UniqueFd region(::open(path.c_str(), (access == protocol::Access::write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    return {std::move(region),
            UniqueFd(::fcntl(leases_.get(), F_DUPFD_CLOEXEC, 0)),
            UniqueFd(::fcntl(doorbell_.get(), F_DUPFD_CLOEXEC, 0)),
            geometry_,
            access,
            cell,
            cells};
  }
  RegionMemory open(protocol::Access access) { return RegionMemory::map(parts(access)).value(); }
  RegionMemory open_writer() { return open(protocol::Access::write); }
  RegionMemory open_reader() { return open(protocol::Access::read); }

  // The same memory as a peer sees it, and may write it.
  format::Directory& directory() {
    return *reinterpret_cast<format::Directory*>(region_map_.data() + geometry_.directory_offset());
  }
  format::SlotHeader& header(unsigned slot) {
    return *reinterpret_cast<format::SlotHeader*>(region_map_.data() + geometry_.slot_offset(slot));
  }
  std::byte* payload(unsigned slot) { return region_map_.data() + geometry_.payload_offset(slot); }
  format::LeaseTable& table() { return *reinterpret_cast<format::LeaseTable*>(leases_map_.data()); }
  format::Cell& cell(unsigned index) { return table().cells[index]; }
  [[nodiscard]] unsigned latest_slot() { return format::index_of(directory().latest); }
  [[nodiscard]] std::uint64_t sequence() { return format::sequence_of(directory().latest); }

  [[nodiscard]] int doorbell() const { return doorbell_.get(); }
  // How often the doorbell was rung since the last call.
  std::uint64_t rings() {
    std::uint64_t count = 0;
    return ::read(doorbell_.get(), &count, sizeof count) == sizeof count ? count : 0;
  }

 private:
  Geometry geometry_;
  UniqueFd region_;
  UniqueFd leases_;
  UniqueFd doorbell_;
  Mapping region_map_;
  Mapping leases_map_;
};

}  // namespace memio::test

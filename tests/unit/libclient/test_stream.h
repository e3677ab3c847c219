// SPDX-License-Identifier: MIT
#pragma once

// The memory of a stream as its two sides share it, without memiod and without regions: the ring, the cells that say
// who lives, the doorbells, the buffers.

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "memio/unique_fd.h"
#include "stream_ring.h"

namespace memio::test {

class TestStream {
 public:
  static constexpr std::uint32_t cells = 8;
  static constexpr std::uint32_t writer_cell = 3;  // in the ring's lease table
  static constexpr std::uint32_t reader_cell = 5;  // in that of the first buffer

  // `first`: the number of the first entry, where both counters begin.
  explicit TestStream(std::uint32_t buffers = 4, std::uint64_t chunk_size = 100, std::uint32_t first = 0)
      : shape_(StreamShape::make(buffers, chunk_size, std::nullopt).value()) {
    format::initialise_ring(memory(), shape_);
    header().head = header().tail = first;
    buffers_.assign(buffers, std::vector<std::byte>(chunk_size));
  }
  TestStream(const TestStream&) = delete;
  TestStream& operator=(const TestStream&) = delete;
  ~TestStream() { ::munmap(pages_, 2 * page_size()); }

  // As they are after both have joined.
  RingWriter writer() {
    EXPECT_TRUE(join_ring(ring().writer(), writer_cells()[writer_cell], writer_cell));
    return {ring(), {reader_cells(), ring_bell_.get()}};
  }
  RingReader reader() {
    EXPECT_TRUE(join_ring(ring().reader(), reader_cells()[reader_cell], reader_cell));
    return {ring(), {writer_cells(), buffer_bell_.get()}};
  }
  // What memiod does when a handle ends.
  void end_writer() {
    writer_cells()[writer_cell].will = 0;
    ring_for(ring_bell_);
  }
  void end_reader() {
    reader_cells()[reader_cell].will = 0;
    ring_for(buffer_bell_);
  }

  StreamRing ring() { return StreamRing::over(memory()).value(); }
  std::span<std::byte> memory() { return {pages_, format::ring_size(shape_.buffers)}; }
  format::RingHeader& header() { return ring().header(); }
  std::span<std::byte> buffer(std::uint32_t index) { return buffers_.at(index); }

  // The page that the cells are on; the ring has its own.
  std::byte* cells_page() { return pages_ + page_size(); }
  std::span<format::Cell> writer_cells() { return {reinterpret_cast<format::Cell*>(cells_page()), cells}; }
  std::span<format::Cell> reader_cells() { return {reinterpret_cast<format::Cell*>(cells_page()) + cells, cells}; }

  // The reader sleeps on the first, the writer on the second.
  [[nodiscard]] int ring_bell() const { return ring_bell_.get(); }
  [[nodiscard]] int buffer_bell() const { return buffer_bell_.get(); }
  std::uint64_t rings_for_reader() { return rings(ring_bell_); }
  std::uint64_t rings_for_writer() { return rings(buffer_bell_); }

 private:
  static std::uint64_t rings(const UniqueFd& doorbell) {
    std::uint64_t count = 0;
    return ::read(doorbell.get(), &count, sizeof count) == sizeof count ? count : 0;
  }
  static void ring_for(const UniqueFd& doorbell) {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(doorbell.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  static std::byte* map() {
    void* pages = ::mmap(nullptr, 2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(pages, MAP_FAILED);
    return static_cast<std::byte*>(pages);
  }

  StreamShape shape_;
  std::byte* pages_ = map();
  UniqueFd ring_bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  UniqueFd buffer_bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::vector<std::vector<std::byte>> buffers_;
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

// The ring of a stream: what both sides do with its words, over memory alone. STREAM_FORMAT.md has the protocol and why
// it is right; in short:
//
//   put in, give back:  store the own counter, then ring the other's doorbell if it `waits`
//   sleep:              store `waits`, look whether the other lives, look at its counter, and only then sleep
//
// Nothing that the other side can write is believed: counters are compared with what was accepted before, an entry is
// copied before it is checked, and what the ring was made of was read once.
//
// What ends a stream before its time (a lie, the other's end or its giving up) is found once and told ever after. It
// makes this side give up too, because the other may be asleep.

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "memio/region_format.h"
#include "memio/stream_format.h"

namespace memio {

// A ring whose shape was checked.
class StreamRing {
 public:
  // Error: corrupt.
  static Result<StreamRing> over(std::span<std::byte> memory);

  [[nodiscard]] const StreamShape& shape() const noexcept { return shape_; }
  [[nodiscard]] format::RingHeader& header() const noexcept { return at<format::RingHeader>(0); }
  [[nodiscard]] format::RingEntry& entry(std::uint32_t n) const noexcept {
    return at<format::RingEntry>(format::entry_offset(n % shape_.buffers));
  }
  [[nodiscard]] format::StreamSide& writer() const noexcept {
    return at<format::StreamSide>(format::writer_side_offset(shape_.buffers));
  }
  [[nodiscard]] format::StreamSide& reader() const noexcept {
    return at<format::StreamSide>(format::reader_side_offset(shape_.buffers));
  }

 private:
  StreamRing(std::byte* memory, const StreamShape& shape) noexcept : memory_(memory), shape_(shape) {}
  template <class T>
  [[nodiscard]] T& at(std::uint64_t offset) const noexcept {
    return *reinterpret_cast<T*>(memory_ + offset);
  }
  std::byte* memory_;
  StreamShape shape_;
};

// What a side knows of the other beside the ring: the lease table that has its cell, and the doorbell that wakes it.
// Both are borrowed.
struct StreamPeer {
  std::span<const format::Cell> cells;
  int doorbell = -1;
};

// Becomes the writer or the reader, once and for all, by the own handle's cell, whose will is set. False if somebody
// else is.
[[nodiscard]] bool join_ring(format::StreamSide& side, format::Cell& cell, std::uint32_t index) noexcept;

// What writer and reader have in common.
class RingEnd {
 public:
  // Ends the stream from this side; the other is told why.
  void give_up(std::string_view reason) noexcept;

  // This side looks by itself from now on: the other need not ring.
  void stop_waiting() noexcept { own_.waits.store(0, std::memory_order_relaxed); }

  [[nodiscard]] const StreamShape& shape() const noexcept { return ring_.shape(); }
  // Whether this side has ended the stream, well or not.
  [[nodiscard]] bool is_over() const noexcept { return over_; }

 protected:
  RingEnd(const StreamRing& ring, format::StreamSide& own, format::StreamSide& other, StreamPeer peer) noexcept
      : ring_(ring), own_(own), other_(other), peer_(peer) {}

  void set_state(format::StreamState state) noexcept;
  // The other side sleeps, perhaps, and something has moved.
  void wake_other() noexcept;
  // Whether the other side is there, or may still come. Error: corrupt.
  [[nodiscard]] Result<bool> other_lives() const noexcept;
  // Keeps the first failure and gives up. Always returns it.
  tl::unexpected<Error> end_with(Error error);
  tl::unexpected<Error> lie() { return end_with(Error{Errc::corrupt}); }
  tl::unexpected<Error> gone();
  // The other side has given up, and said why.
  tl::unexpected<Error> given_up();

  StreamRing ring_;
  format::StreamSide& own_;
  format::StreamSide& other_;
  StreamPeer peer_;
  std::optional<Error> failure_;
  bool over_ = false;
};

enum class Announce : bool { no, yes };

class RingWriter : public RingEnd {
 public:
  RingWriter(const StreamRing& ring, StreamPeer reader) noexcept;

  // The buffer for the next chunk, or nothing if all are full. Errors: aborted, peer_gone, corrupt; misuse after the
  // last chunk.
  Result<std::optional<std::uint32_t>> begin();
  // Puts in what begin() gave, `length` bytes of it. Nothing of no length, unless it is the last.
  void commit(std::uint32_t length, bool last) noexcept;
  // Whether the reader has given everything back. Errors: aborted, peer_gone, corrupt.
  Result<bool> all_taken();
  // Whether nothing has moved since the last look and the reader is there. `announce`: the next move rings. Errors:
  // aborted, peer_gone, corrupt.
  Result<bool> is_idle(Announce announce);

  [[nodiscard]] bool has_last() const noexcept { return last_; }
  // Whether there is room for another entry, as of the last look.
  [[nodiscard]] bool has_room() const noexcept { return tail_ - head_ < shape().buffers; }
  [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
  // Bytes that the reader has given back, as of the last look.
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

 private:
  // Looks at the reader's state and at what it has given back.
  Result<void> look();
  Result<void> accept(std::uint32_t head);

  std::uint32_t tail_;
  std::uint32_t head_;  // the last that was accepted
  std::uint64_t written_ = 0;
  std::uint64_t taken_ = 0;
  bool last_ = false;                                         // the last entry is in
  std::array<std::uint32_t, format::max_buffers> lengths_{};  // of the entries between head and tail
};

class RingReader : public RingEnd {
 public:
  RingReader(const StreamRing& ring, StreamPeer writer) noexcept;

  struct Entry {
    std::uint32_t number = 0;
    std::uint32_t buffer = 0;
    std::uint32_t length = 0;
    std::uint64_t offset = 0;
    bool last = false;
  };
  // The next entry, or nothing if there is none now, or if the last was taken. Errors: aborted, peer_gone, corrupt.
  Result<std::optional<Entry>> take();
  // The chunk of an entry is no longer used. In any order, each once.
  void give_back(std::uint32_t number) noexcept;
  // Whether nothing has come since the last look and the writer is there, or may come. `announce`: the next move rings.
  // Errors: aborted, peer_gone, corrupt.
  Result<bool> is_idle(Announce announce);

  [[nodiscard]] bool has_last() const noexcept { return last_; }  // was taken
  // Whether something is there that was not taken, as of the last look.
  [[nodiscard]] bool has_more() const noexcept { return tail_ != next_; }
  // Whether all buffers are with this side, so that nothing can come.
  [[nodiscard]] bool holds_all() const noexcept { return next_ - head_ == shape().buffers; }
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

 private:
  // What the writer has put in; false if nothing since.
  Result<bool> look(bool writer_lives);
  Result<void> check(const format::RingEntry& entry);

  std::uint32_t head_;            // given back
  std::uint32_t next_;            // taken
  std::uint32_t tail_;            // the last that was accepted
  std::uint64_t given_back_ = 0;  // bit i: an entry at i, between head and next, that waits for those before it
  std::uint64_t taken_ = 0;
  bool last_ = false;
};

}  // namespace memio

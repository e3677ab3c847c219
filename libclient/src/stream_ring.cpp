// SPDX-License-Identifier: MIT
#include "stream_ring.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "writer.h"

namespace memio {

namespace {

using format::StreamState;

constexpr auto state_of(std::uint32_t word) noexcept { return static_cast<StreamState>(word); }
constexpr bool is_state(std::uint32_t word) noexcept {
  return word <= static_cast<std::uint32_t>(StreamState::given_up);
}

// As much of a text as there is room for, without half a character at its end.
std::string_view cut(std::string_view text, std::size_t room) noexcept {
  if (text.size() <= room) return text;
  const auto begins_character = [&](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80; };
  while (room > 0 && !begins_character(room)) --room;
  return text.substr(0, room);
}

// A stranger's text, to be shown: what is no printable ASCII and no part of UTF-8 becomes a question mark.
std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    bool good = first < 0x80 ? first >= 0x20 && first != 0x7f : first >= 0xc2 && first <= 0xf4;
    if (i + length > text.size()) good = false;
    for (std::size_t j = 1; good && j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      good = (next & 0xc0) == 0x80;
      // What is written with more bytes than it needs, half of a pair, or beyond the last character; and C1 controls.
      if (j == 1) {
        if ((first == 0xe0 && next < 0xa0) || (first == 0xed && next > 0x9f) || (first == 0xf0 && next < 0x90) ||
            (first == 0xf4 && next > 0x8f) || (first == 0xc2 && next < 0xa0))
          good = false;
      }
    }
    if (!good) length = 1;
    shown += good ? text.substr(i, length) : "?";
    i += length;
  }
  return shown;
}

}  // namespace

Result<StreamRing> StreamRing::over(std::span<std::byte> memory) {
  const auto shape = format::check_ring(memory);
  if (!shape) return fail(shape.error());
  return StreamRing(memory.data(), *shape);
}

// --- what both do ---

bool join_ring(format::StreamSide& side, format::Cell& cell, std::uint32_t index) noexcept {
  // Looked at before the will is set: one that comes too late, in a cell that was the dead side's, is not to look like
  // it for a moment.
  std::uint32_t nobody = side.joined.load(std::memory_order_seq_cst);
  if (nobody != 0) return false;
  cell.will.store(1, std::memory_order_seq_cst);
  if (side.joined.compare_exchange_strong(nobody, index + 1, std::memory_order_seq_cst)) return true;
  cell.will.store(0, std::memory_order_seq_cst);
  return false;
}

void RingEnd::set_state(StreamState state) noexcept {
  over_ = true;
  own_.state.store(static_cast<std::uint32_t>(state), std::memory_order_seq_cst);
}

void RingEnd::give_up(std::string_view reason) noexcept {
  reason = cut(reason, own_.reason.size());
  std::copy(reason.begin(), reason.end(), own_.reason.begin());
  std::atomic_ref(own_.reason_length).store(static_cast<std::uint32_t>(reason.size()), std::memory_order_relaxed);
  set_state(StreamState::given_up);
  wake_other();
}

void RingEnd::wake_other() noexcept {
  if (other_.waits.load(std::memory_order_seq_cst) == 0) return;
  other_.waits.store(0, std::memory_order_seq_cst);
  ring(peer_.doorbell);
}

Result<bool> RingEnd::other_lives() const noexcept {
  const auto joined = other_.joined.load(std::memory_order_seq_cst);
  if (joined == 0) return true;
  if (joined > peer_.cells.size()) return fail(Errc::corrupt);
  return peer_.cells[joined - 1].will.load(std::memory_order_seq_cst) != 0;
}

tl::unexpected<Error> RingEnd::end_with(Error error) {
  if (!over_) give_up(error.text());
  if (!failure_) failure_ = std::move(error);
  return fail(*failure_);
}

tl::unexpected<Error> RingEnd::gone() { return end_with(Error{Errc::peer_gone}); }

tl::unexpected<Error> RingEnd::given_up() {
  const auto length = std::atomic_ref(other_.reason_length).load(std::memory_order_relaxed);
  // A copy first: the other side may write it at any time.
  auto reason = other_.reason;
  const std::string_view said(reason.data(), std::min<std::size_t>(length, reason.size()));
  return end_with(Error{Errc::aborted, 0, printable(said)});
}

// --- writing ---

RingWriter::RingWriter(const StreamRing& ring, StreamPeer reader) noexcept
    : RingEnd(ring, ring.writer(), ring.reader(), reader),
      tail_(ring.header().tail.load(std::memory_order_seq_cst)),
      head_(tail_) {}

Result<void> RingWriter::accept(std::uint32_t head) {
  if (head - head_ > tail_ - head_) return lie();  // it went back, or beyond what was put in
  for (; head_ != head; ++head_) taken_ += lengths_[head_ % shape().buffers];
  return {};
}

Result<void> RingWriter::look() {
  if (failure_) return fail(*failure_);
  // The state first: a reader that has finished has moved the head before.
  const auto state = other_.state.load(std::memory_order_seq_cst);
  if (auto accepted = accept(ring_.header().head.load(std::memory_order_seq_cst)); !accepted) return accepted;
  if (state_of(state) == StreamState::open) return {};
  if (state_of(state) == StreamState::given_up) return given_up();
  if (!is_state(state) || !last_ || head_ != tail_) return lie();
  return {};
}

Result<std::optional<std::uint32_t>> RingWriter::begin() {
  if (auto looked = look(); !looked) return fail(std::move(looked.error()));
  if (last_) return fail(Errc::misuse, "the stream's last chunk is written; make another stream");
  if (over_) return fail(Errc::misuse, "the stream was aborted; make another one");
  if (tail_ - head_ == shape().buffers) return std::optional<std::uint32_t>();
  return std::optional(tail_ % shape().buffers);
}

void RingWriter::commit(std::uint32_t length, bool last) noexcept {
  if (length == 0 && !last) return;
  const auto index = tail_ % shape().buffers;
  ring_.entry(tail_) = {index, length, written_, last ? 1U : 0U, 0};
  lengths_[index] = length;
  written_ += length;
  last_ = last;
  ring_.header().tail.store(++tail_, std::memory_order_seq_cst);
  if (last) set_state(StreamState::finished);
  wake_other();
}

Result<bool> RingWriter::all_taken() {
  if (auto looked = look(); !looked) return fail(std::move(looked.error()));
  return head_ == tail_;
}

Result<bool> RingWriter::is_idle(Announce announce) {
  const auto before = head_;
  if (announce == Announce::yes) own_.waits.store(1, std::memory_order_seq_cst);
  const auto lives = other_lives();
  if (!lives) return lie();
  if (auto looked = look(); !looked) return fail(std::move(looked.error()));
  if (head_ != before || (last_ && head_ == tail_)) return false;
  if (!*lives) return gone();
  return true;
}

// --- reading ---

RingReader::RingReader(const StreamRing& ring, StreamPeer writer) noexcept
    : RingEnd(ring, ring.reader(), ring.writer(), writer),
      head_(ring.header().head.load(std::memory_order_seq_cst)),
      next_(head_),
      tail_(head_) {}

Result<bool> RingReader::look(bool writer_lives) {
  // The state first: what was put in before the end is not overlooked.
  const auto state = other_.state.load(std::memory_order_seq_cst);
  const auto tail = ring_.header().tail.load(std::memory_order_seq_cst);
  if (tail - tail_ > shape().buffers - (tail_ - head_)) return lie();  // it went back, or more than fits
  const bool moved = tail != tail_;
  tail_ = tail;
  if (tail_ != next_) return moved;
  if (state_of(state) == StreamState::given_up) return given_up();
  if (state_of(state) != StreamState::open) return lie();  // finished without a last entry, or no state at all
  if (!writer_lives) return gone();
  return false;
}

Result<void> RingReader::check(const format::RingEntry& entry) {
  const bool possible = entry.buffer_index < shape().buffers && entry.length <= shape().chunk_size &&
                        entry.offset == taken_ && entry.finalize <= 1 && (entry.length != 0 || entry.finalize == 1);
  if (!possible || (entry.finalize == 1 && tail_ != next_ + 1)) return lie();
  return {};
}

Result<std::optional<RingReader::Entry>> RingReader::take() {
  if (last_) return std::optional<Entry>();
  if (failure_) return fail(*failure_);
  if (over_) return fail(Errc::misuse, "the stream was cancelled; open another one");
  if (next_ == tail_) {
    auto looked = look(true);
    if (!looked) return fail(std::move(looked.error()));
    if (next_ == tail_) return std::optional<Entry>();
  }
  format::RingEntry entry;
  std::memcpy(&entry, &ring_.entry(next_), sizeof entry);
  asm volatile("" : "+m"(entry));  // the copy is what is checked and used
  if (auto checked = check(entry); !checked) return fail(std::move(checked.error()));
  last_ = entry.finalize == 1;
  taken_ += entry.length;
  return std::optional(Entry{next_++, entry.buffer_index, entry.length, entry.offset, last_});
}

void RingReader::give_back(std::uint32_t number) noexcept {
  const auto bit = [&](std::uint32_t n) { return std::uint64_t{1} << n % shape().buffers; };
  given_back_ |= bit(number);
  if (number != head_) return;
  for (; head_ != next_ && (given_back_ & bit(head_)) != 0; ++head_) given_back_ &= ~bit(head_);
  ring_.header().head.store(head_, std::memory_order_seq_cst);
  if (last_ && head_ == next_ && !over_) set_state(StreamState::finished);
  wake_other();
}

Result<bool> RingReader::is_idle(Announce announce) {
  if (last_) return false;
  if (failure_) return fail(*failure_);
  if (announce == Announce::yes) own_.waits.store(1, std::memory_order_seq_cst);
  const auto lives = other_lives();
  if (!lives) return lie();
  const auto moved = look(*lives);
  if (!moved) return fail(moved.error());
  return !*moved;
}

}  // namespace memio

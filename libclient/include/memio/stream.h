// SPDX-License-Identifier: MIT
#pragma once

// Streams: any number of bytes from one program to another, in order, none of them lost, at the pace of the reader.
//
// A stream has one writer and one reader; either creates it under a name, the other opens it. It consists of ordinary
// regions, `<name>__ctrl` and `<name>__data_0`, `<name>__data_1`, ...; a grant of `<name>__*` covers them, a watch of
// `<name>__ctrl` tells when it is there. What they do with the memory is in STREAM_FORMAT.md.
//
// A chunk makes no system call and allocates nothing while nobody sleeps. It is filled and used where it lies, without
// a copy.
//
// Either side's end before the stream's ends it for the other, with `peer_gone` if it just went, or `aborted` and its
// reason if it said so. Whatever the writer had put in before is still read. memiod has to be there for `peer_gone`;
// streams that are open go on without it, and claim their handles again when it is back, in Client::dispatch or any
// function here that waits.
//
// Not thread-safe: a side belongs to the thread of its Client. Both sides of one stream can be in one process, if each
// has its own Client.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "memio/api.h"
#include "memio/region.h"
#include "memio/result.h"

namespace memio {

struct StreamOptions {
  std::uint64_t chunk_size = std::uint64_t{1} << 20;  // bytes that a buffer holds, at most 2^32 - 1
  unsigned buffers = 4;                               // 1, 2, 4, 8, 16, 32 or 64
  // Bytes in all, to show progress with. A claim: more or less may come.
  std::optional<std::uint64_t> total_length;
};

namespace detail {
class WriterStream;
class ReaderStream;
}  // namespace detail

// The writing side. Given up (abort) by the destructor if the last chunk has not been put in; so call finish().
//
// In the functions below `timeout` is how long to wait: 0: not at all; negative: for ever. Errors of all of them:
// timed_out; aborted if the reader cancelled; peer_gone; corrupt if the ring holds lies; misuse after the end; system.
// What has ended the stream is told again by each later call.
class MEMIO_API StreamWriter {
 public:
  StreamWriter(StreamWriter&&) noexcept;
  StreamWriter& operator=(StreamWriter&&) noexcept;
  ~StreamWriter();

  // A free buffer, chunk_size() bytes whose content is unspecified, to be filled before commit(). Called again before
  // it: the same one, or what has ended the stream meanwhile.
  Result<std::span<std::byte>> begin(std::chrono::milliseconds timeout);
  // Gives the first `length` bytes of it to the reader. `last`: the stream ends with them. Nothing is put in for length
  // 0, unless it is the last. Errors: misuse if not begun; payload_too_large.
  Result<void> commit(std::size_t length, bool last = false);

  // Copies `bytes` into as many chunks as it takes. If the time is up, written() tells how far it came.
  Result<void> write(std::span<const std::byte> bytes, std::chrono::milliseconds timeout);

  // Ends the stream, if commit() did not, and waits until the reader has given everything back. Can be called again
  // after timed_out.
  Result<void> finish(std::chrono::milliseconds timeout);

  // Gives up: the reader gets `aborted` and the reason (at most 176 bytes of it). Does nothing after the end.
  void abort(std::string_view reason = {}) noexcept;

  [[nodiscard]] std::uint64_t written() const noexcept;  // bytes put in
  [[nodiscard]] std::uint64_t taken() const noexcept;    // bytes that the reader has given back
  [[nodiscard]] std::optional<std::uint64_t> total_length() const noexcept;
  [[nodiscard]] std::uint64_t chunk_size() const noexcept;

  // From now on Client::dispatch tells `token` (stream_writable) when there is room again or the stream has ended, the
  // first time at once if so. Told when something moves, not as long as there is room: write until timed_out. Error:
  // system.
  Result<void> subscribe(Token token);
  void unsubscribe() noexcept;

 private:
  friend class Client;
  explicit StreamWriter(std::shared_ptr<detail::WriterStream> stream) noexcept;
  std::shared_ptr<detail::WriterStream> stream_;
};

// A part of a stream, where it lies. Given back by the destructor, in any order; the writer goes on when those before
// it are given back too. Belongs to the thread of its reader, and may outlive it.
class MEMIO_API Chunk {
 public:
  Chunk(Chunk&& other) noexcept
      : stream_(std::exchange(other.stream_, nullptr)),
        data_(std::exchange(other.data_, {})),
        offset_(other.offset_),
        number_(other.number_),
        last_(other.last_) {}
  Chunk& operator=(Chunk&& other) noexcept;
  ~Chunk() {
    if (stream_) give_back();
  }

  // Valid as long as this object lives. A hostile writer can change bytes even so: do not trust two reads to agree.
  [[nodiscard]] std::span<const std::byte> data() const noexcept { return data_; }
  // Bytes of the stream before it.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] bool last() const noexcept { return last_; }

 private:
  friend class detail::ReaderStream;
  Chunk(detail::ReaderStream& stream, std::span<const std::byte> data, std::uint64_t offset, std::uint32_t number,
        bool last) noexcept
      : stream_(&stream), data_(data), offset_(offset), number_(number), last_(last) {}
  void give_back() noexcept;

  detail::ReaderStream* stream_;  // lives as long as there are chunks of it; null: moved away
  std::span<const std::byte> data_;
  std::uint64_t offset_;
  std::uint32_t number_;
  bool last_;
};

// The reading side. Cancelled by the destructor if the last chunk has not been taken.
class MEMIO_API StreamReader {
 public:
  StreamReader(StreamReader&&) noexcept;
  StreamReader& operator=(StreamReader&&) noexcept;
  ~StreamReader();

  // The next chunk; nothing once the last has been taken. One that is still in use is a buffer less for the writer; so
  // give it back before, unless it is needed. With all of them in use nothing can come: misuse. Errors:
  // timed_out; aborted if the writer gave up; peer_gone; corrupt if the ring holds lies; misuse after cancel(); system.
  Result<std::optional<Chunk>> next(std::chrono::milliseconds timeout);

  // Gives up: the writer gets `aborted` and the reason (at most 176 bytes of it). Does nothing after the end.
  void cancel(std::string_view reason = {}) noexcept;

  [[nodiscard]] std::uint64_t taken() const noexcept;  // bytes
  [[nodiscard]] std::optional<std::uint64_t> total_length() const noexcept;
  [[nodiscard]] std::uint64_t chunk_size() const noexcept;

  // From now on Client::dispatch tells `token` (stream_readable) when there is something to take or the stream has
  // ended, the first time at once if so. Told when something moves, not as long as there is something: take until
  // timed_out. Error: system.
  Result<void> subscribe(Token token);
  void unsubscribe() noexcept;

 private:
  friend class Client;
  explicit StreamReader(std::shared_ptr<detail::ReaderStream> stream) noexcept;
  std::shared_ptr<detail::ReaderStream> stream_;
};

}  // namespace memio

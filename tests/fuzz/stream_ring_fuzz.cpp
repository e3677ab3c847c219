// SPDX-License-Identifier: MIT
// A stream whose ring gets random words while both sides use it. What they are given lies within the buffers, in order;
// otherwise they say what is wrong, and nothing outside the ring is touched (the address sanitizer watches).

#include <sys/eventfd.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "fuzz.h"
#include "memio/unique_fd.h"
#include "stream_ring.h"

namespace {

using memio::Announce;
using memio::Errc;
using memio::Result;
using memio::RingReader;
using memio::RingWriter;
using memio::StreamRing;
using memio::UniqueFd;
using memio::fuzz::Input;
using memio::fuzz::require;

constexpr std::uint32_t cells = 4;
constexpr std::uint64_t chunk_size = 100;

template <class T>
bool ended(const Result<T>& result) {
  if (result) return false;
  const auto code = result.error().code;
  require(code == Errc::corrupt || code == Errc::aborted || code == Errc::peer_gone || code == Errc::misuse);
  return true;
}

struct alignas(64) Memory {
  std::array<std::byte, memio::format::ring_size(memio::format::max_buffers)> bytes{};
};

void damage(Input& input, std::span<std::byte> ring) {
  for (int i = input.byte() % 4; i > 0; --i) {
    const auto offset = input.number<std::uint16_t>() % (ring.size() / 4) * 4;
    std::uint32_t value = 0;
    std::memcpy(&value, ring.data() + offset, sizeof value);
    const auto how = input.byte();
    if (how % 4 == 0) value = input.number<std::uint32_t>();
    if (how % 4 == 1) value += how / 4;
    if (how % 4 == 2) value -= how / 4;
    if (how % 4 == 3) value = how / 4;
    std::memcpy(ring.data() + offset, &value, sizeof value);
  }
}

// One move of the writer; false at its end.
bool write(RingWriter& writer, Input& input) {
  const auto how = input.byte();
  if (how % 16 == 0) return !ended(writer.is_idle(how % 32 == 0 ? Announce::yes : Announce::no));
  const auto buffer = writer.begin();
  if (ended(buffer)) return false;
  if (!*buffer) return true;
  require(**buffer < writer.shape().buffers);
  writer.commit(static_cast<std::uint32_t>(input.byte() % (chunk_size + 1)), how % 16 == 1);
  return !ended(writer.all_taken());
}

// One move of the reader; false at its end.
bool read(RingReader& reader, std::vector<std::uint32_t>& held, Input& input) {
  const auto how = input.byte();
  if (how % 4 == 0 && !held.empty()) {
    const auto which = held.begin() + static_cast<std::ptrdiff_t>(how / 4 % held.size());
    reader.give_back(*which);
    held.erase(which);
    return true;
  }
  if (how % 16 == 1) return !ended(reader.is_idle(how % 32 == 1 ? Announce::yes : Announce::no));
  if (reader.holds_all()) return true;
  const auto before = reader.taken();
  const auto entry = reader.take();
  if (ended(entry)) return false;
  if (!*entry) return !reader.has_last();
  require((*entry)->buffer < reader.shape().buffers && (*entry)->length <= chunk_size);
  require((*entry)->offset == before && reader.taken() == before + (*entry)->length);
  held.push_back((*entry)->number);
  require(held.size() <= reader.shape().buffers);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  Memory memory;
  const std::uint32_t buffers = 1U << input.byte() % 7;
  const std::span ring_bytes(memory.bytes.data(), memio::format::ring_size(buffers));
  memio::format::initialise_ring(ring_bytes, {buffers, chunk_size, std::nullopt});
  const auto first = input.number<std::uint32_t>();
  auto& header = *reinterpret_cast<memio::format::RingHeader*>(ring_bytes.data());
  header.head = header.tail = first;
  if (input.byte() % 4 == 0) damage(input, ring_bytes);
  const auto ring = StreamRing::over(ring_bytes);
  if (!ring) {
    require(ring.error().code == Errc::corrupt && !ring.error().message.empty());
    return 0;
  }
  if (ring->shape().chunk_size != chunk_size || ring->shape().buffers != buffers) return 0;

  std::array<memio::format::Cell, cells> writers{};
  std::array<memio::format::Cell, cells> readers{};
  const UniqueFd doorbell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  (void)memio::join_ring(ring->writer(), writers[1], 1);
  (void)memio::join_ring(ring->reader(), readers[2], 2);
  RingWriter writer(*ring, {readers, doorbell.get()});
  RingReader reader(*ring, {writers, doorbell.get()});
  std::vector<std::uint32_t> held;
  bool writing = true;
  bool reading = true;
  for (int i = 0; i < 200 && (writing || reading); ++i) {
    const auto what = input.byte();
    if (what % 8 == 0) damage(input, ring_bytes);
    if (what == 1) writers[1].will = 0;
    if (what == 9) readers[2].will = 0;
    if (what == 17) writer.give_up("why");
    if (what == 25) reader.give_up("why not");
    if (what % 2 == 0)
      writing = writing && write(writer, input);
    else
      reading = reading && read(reader, held, input);
  }
  return 0;
}

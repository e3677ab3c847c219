// SPDX-License-Identifier: MIT
// A writer and a reader in a thread each, that sleep whenever they can: every byte arrives, no wake-up is lost.

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <cerrno>
#include <thread>

#include "sleeper.h"
#include "test_stream.h"

namespace memio {
namespace {

using test::TestStream;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t chunks = 20'000;
#else
constexpr std::uint64_t chunks = 300'000;
#endif
constexpr std::uint32_t chunk_size = 64;

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return x ^ (x >> 31);
}
std::uint32_t length_of(std::uint64_t chunk) { return 1 + static_cast<std::uint32_t>(mix(chunk) % chunk_size); }
std::byte byte_of(std::uint64_t offset) { return static_cast<std::byte>(mix(offset)); }

void write_all(TestStream& stream, RingWriter& writer) {
  Sleeper doorbell(stream.buffer_bell());
  for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
    auto index = writer.begin();
    while (index && !*index) {
      const auto idle = writer.is_idle(Announce::yes);
      ASSERT_TRUE(idle) << idle.error().text();
      if (*idle) {
        ASSERT_TRUE(doorbell.sleep()) << "lost wake-up of the writer at chunk " << chunk;
      }
      index = writer.begin();
    }
    ASSERT_TRUE(index) << index.error().text();
    const auto buffer = stream.buffer(**index);
    for (std::uint32_t i = 0; i < length_of(chunk); ++i) buffer[i] = byte_of(writer.written() + i);
    writer.commit(length_of(chunk), chunk + 1 == chunks);
    if (mix(~chunk) % 64 == 0) std::this_thread::yield();
  }
  for (auto taken = writer.all_taken(); !taken.value(); taken = writer.all_taken()) {
    const auto idle = writer.is_idle(Announce::yes);
    ASSERT_TRUE(idle) << idle.error().text();
    if (*idle) {
      ASSERT_TRUE(doorbell.sleep()) << "lost wake-up of the writer at the end";
    }
  }
}

// `held`: entries kept before they are given back, newest first.
void read_all(TestStream& stream, RingReader& reader, std::size_t held) {
  Sleeper doorbell(stream.ring_bell());
  std::vector<std::uint32_t> entries;
  const auto give_back = [&] {
    while (!entries.empty()) {
      reader.give_back(entries.back());
      entries.pop_back();
    }
  };
  std::uint64_t offset = 0;
  while (!reader.has_last()) {
    const auto entry = reader.take();
    ASSERT_TRUE(entry) << entry.error().text();
    if (!*entry) {
      give_back();
      const auto idle = reader.is_idle(Announce::yes);
      ASSERT_TRUE(idle) << idle.error().text();
      if (*idle) {
        ASSERT_TRUE(doorbell.sleep()) << "lost wake-up of the reader at byte " << offset;
      }
      continue;
    }
    const auto bytes = stream.buffer((*entry)->buffer).first((*entry)->length);
    ASSERT_EQ((*entry)->offset, offset);
    for (const auto byte : bytes) ASSERT_EQ(byte, byte_of(offset++));
    entries.push_back((*entry)->number);
    if (entries.size() > held) give_back();
    if (mix(offset) % 64 == 0) std::this_thread::yield();
  }
  give_back();
}

void run(std::uint32_t buffers, std::size_t held) {
  TestStream stream(buffers, chunk_size, ~std::uint32_t{0} - chunks / 2);
  auto writer = stream.writer();
  auto reader = stream.reader();
  std::thread reading([&] { read_all(stream, reader, held); });
  write_all(stream, writer);
  reading.join();
  EXPECT_EQ(writer.written(), reader.taken());
  EXPECT_EQ(writer.taken(), reader.taken());
}

TEST(StreamStress, OneBufferGoesToAndFro) { run(1, 0); }
TEST(StreamStress, FourBuffers) { run(4, 0); }
TEST(StreamStress, EntriesThatAreGivenBackTheWrongWayRound) { run(8, 5); }

}  // namespace
}  // namespace memio

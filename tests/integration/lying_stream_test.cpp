// SPDX-License-Identifier: MIT
// A peer that writes lies into a stream's ring while the two sides are at work. They get the errors that are
// documented, in bounded time, and touch nothing outside the regions (the kernel and the address sanitizer watch); the
// next stream works.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include "open_region.h"
#include "stream_ring.h"
#include "support/bytes.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr unsigned rounds = 60;
#else
constexpr unsigned rounds = 120;
#endif
constexpr std::uint64_t chunks = 3000;
// A lie can take a wake-up away, so nobody waits for ever.
constexpr auto patience = 50ms;
constexpr StreamOptions small{.chunk_size = 256, .buffers = 4};

class Liar {
 public:
  Liar(Region& ring, Region& buffer, std::uint64_t seed)
      : ring_(RegionAccess::memory(ring)), buffer_(RegionAccess::memory(buffer)), random_(seed) {}

  [[noreturn]] void lie_for_ever() {
    for (;;) {
      lie();
      // Often enough for many, rarely enough for some to be believed first.
      for (auto others = number(2000); others > 0; --others) std::atomic_signal_fence(std::memory_order_seq_cst);
      if (number(8) == 0) std::this_thread::yield();
    }
  }

 private:
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  std::atomic_ref<std::uint32_t> word(std::uint64_t offset) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(ring_.payload(0).data() + offset));
  }
  std::uint32_t value(std::uint32_t now) {
    switch (number(6)) {
      case 0: return now + 1;
      case 1: return now - 1;
      case 2: return now + small.buffers;
      case 3: return static_cast<std::uint32_t>(number(4));
      case 4: return ~0U;
      default: return static_cast<std::uint32_t>(random_());
    }
  }

  void lie() {
    const auto capacity = small.buffers;
    std::uint64_t where = 0;
    switch (number(8)) {
      case 0: where = 4 * number(2); break;  // head, tail
      case 1:                                // an entry
      case 2: where = 16 + 4 * number(6 * capacity); break;
      case 3: where = format::writer_side_offset(capacity) + 4 * number(4); break;
      case 4: where = format::reader_side_offset(capacity) + 4 * number(4); break;
      case 5: ring(number(2) == 0 ? ring_.doorbell_fd() : buffer_.doorbell_fd()); return;  // for nothing
      case 6: {                                                                            // a death
        auto& memory = number(2) == 0 ? ring_ : buffer_;
        memory.lease_table().cells[number(4)].will = static_cast<std::uint32_t>(number(2));
        return;
      }
      default: where = 4 * number(format::ring_size(capacity) / 4); break;  // anything
    }
    word(where) = value(word(where));
  }

  RegionMemory& ring_;
  RegionMemory& buffer_;
  std::mt19937_64 random_;
};

class LyingStream : public DaemonTest {
 protected:
  Process start_liar(std::uint64_t seed) const {
    const Turnstile ready;
    auto child = Process::fork([&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto client = daemon_.connect();
      auto ring = client.open("s__ctrl", Access::write);
      auto buffer = client.open("s__data_0", Access::write);
      if (!ring || !buffer) return 1;
      ready.pass();
      Liar(*ring, *buffer, seed).lie_for_ever();
    });
    ready.wait();
    return child;
  }

  void count(const char* side, Errc code) {
    const std::scoped_lock lock(mutex_);
    ++ends_[std::string(side) + " " + std::string(error_name(code))];
  }

  // What a side may be told.
  static bool is_documented(Errc code) {
    return code == Errc::corrupt || code == Errc::aborted || code == Errc::peer_gone || code == Errc::timed_out;
  }

  void write_some(StreamWriter& writer) {
    for (std::uint64_t i = 0; i < chunks; ++i) {
      const auto buffer = writer.begin(patience);
      if (!buffer) {
        EXPECT_TRUE(is_documented(buffer.error().code)) << buffer.error().text();
        return count("writer", buffer.error().code);
      }
      std::ranges::fill(*buffer, std::byte{1});
      if (auto committed = writer.commit(1 + i % buffer->size()); !committed)
        return count("writer", committed.error().code);
    }
    (void)writer.finish(patience).has_value();
  }

  void read_some(StreamReader& reader) {
    for (;;) {
      const auto chunk = reader.next(patience);
      if (!chunk) {
        EXPECT_TRUE(is_documented(chunk.error().code)) << chunk.error().text();
        return count("reader", chunk.error().code);
      }
      if (!*chunk) return;
      const auto data = (*chunk)->data();
      ASSERT_LE(data.size(), small.chunk_size);
      // Every byte is read.
      const auto sum = std::accumulate(data.begin(), data.end(), 0U, [](unsigned total, std::byte byte) {
        return total + static_cast<unsigned>(byte);
      });
      ASSERT_LE(sum, 255 * data.size());
    }
  }

  Client client_ = daemon_.connect();
  Client other_ = daemon_.connect();
  std::mutex mutex_;
  std::map<std::string, int> ends_;
};

TEST_F(LyingStream, EndsWithAnErrorAndNothingWorse) {
  for (unsigned round = 0; round < rounds; ++round) {
    auto writer = client_.create_stream_writer("s", small);
    auto reader = other_.open_stream_reader("s");
    ASSERT_TRUE(writer && reader);
    auto liar = start_liar(round);
    std::thread reading([&] { read_some(*reader); });
    write_some(*writer);
    reading.join();
    liar.signal(SIGKILL);
    liar.wait();
  }
  for (const auto& [end, times] : ends_) std::cout << "  " << end << ": " << times << '\n';
  EXPECT_GT(ends_["writer io.memio.client.Corrupt"] + ends_["reader io.memio.client.Corrupt"], 0);

  auto writer = client_.create_stream_writer("s", small);
  auto reader = other_.open_stream_reader("s");
  ASSERT_TRUE(writer->write(bytes("the truth"), patience));
  EXPECT_EQ(text((*reader->next(patience))->data()), "the truth");
}

// Those who come when the lies are already there.
TEST_F(LyingStream, IsRefusedOrJoined) {
  unsigned refused = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    auto writer = client_.create_stream_writer("s", small);
    auto ring = other_.open("s__ctrl", Access::write);
    std::mt19937 random(round);
    auto& memory = RegionAccess::memory(*ring);
    for (int lies = 1 + static_cast<int>(random() % 4); lies > 0; --lies) {
      const auto offset = random() % (memory.payload(0).size() / 4) * 4;
      const auto value = random() % 2 == 0 ? random() % 70 : random();
      std::memcpy(memory.payload(0).data() + offset, &value, 4);
    }
    auto reader = other_.open_stream_reader("s");
    if (!reader) {
      EXPECT_TRUE(reader.error().code == Errc::corrupt || reader.error().code == Errc::busy) << reader.error().text();
      ++refused;
    } else {
      std::thread reading([&] { read_some(*reader); });
      write_some(*writer);
      reading.join();
    }
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace memio::test

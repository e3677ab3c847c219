// SPDX-License-Identifier: MIT
// Gigabytes from one process to another: the same SHA-256 on both ends, memory that does not grow, and a reader that
// stalls at random until the writer sleeps.
//
// MEMIO_STREAM_BYTES says how many bytes; `./dev test --all` sends 10 GiB.

#include <glib.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "require.h"
#include "support/daemon.h"
#include "support/payload.h"
#include "support/stepped_process.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

constexpr auto long_enough = 60s;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t default_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t memory_slack = std::uint64_t{64} << 20;  // shadows
#else
constexpr std::uint64_t default_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t memory_slack = std::uint64_t{2} << 20;
#endif
constexpr std::uint64_t stalls = 20;

std::uint64_t bytes_to_send() {
  const char* wanted = std::getenv("MEMIO_STREAM_BYTES");
  return wanted ? std::strtoull(wanted, nullptr, 10) : default_bytes;
}

class Sha256 {
 public:
  void add(std::span<const std::byte> bytes) {
    g_checksum_update(sum_, reinterpret_cast<const guchar*>(bytes.data()), static_cast<gssize>(bytes.size()));
  }
  std::string text() { return g_checksum_get_string(sum_); }
  Sha256() = default;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256() { g_checksum_free(sum_); }

 private:
  GChecksum* sum_ = g_checksum_new(G_CHECKSUM_SHA256);
};

// The most memory that this process has had, shared memory included.
std::uint64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      std::uint64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes << 10;
    }
  return 0;
}

// What a child tells the test: its sum, or that it has stalled.
class Line {
 public:
  void tell(const std::string& what) const {
    const auto line = what + "\n";
    require(::write(write_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()), "tell");
  }
  // The next line; empty if the child is gone.
  std::string hear() {
    write_.reset();
    std::string line;
    for (char c = 0; ::read(read_.get(), &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

 private:
  std::pair<UniqueFd, UniqueFd> ends_ = make_pipe();
  UniqueFd& read_ = ends_.first;
  UniqueFd& write_ = ends_.second;
};

class StreamVolume : public DaemonTest {
 protected:
  static constexpr std::uint64_t chunk_size = std::uint64_t{1} << 20;

  // Chunks of many lengths, most of them whole.
  static std::size_t length_of(std::uint64_t chunk, std::uint64_t left) {
    const auto random = mix(chunk);
    return std::min(left, random % 8 == 0 ? 1 + random / 8 % chunk_size : chunk_size);
  }

  static int write_all(StreamWriter& writer, std::uint64_t total, const Line& line) {
    Sha256 sum;
    std::uint64_t early_peak = 0;
    for (std::uint64_t chunk = 0; writer.written() < total; ++chunk) {
      const auto buffer = require(writer.begin(long_enough), "begin");
      const auto length = length_of(chunk, total - writer.written());
      fill_payload(buffer.first(length), chunk);
      sum.add(buffer.first(length));
      require(writer.commit(length).has_value(), "commit");
      if (chunk == 16) early_peak = peak_memory();
    }
    require(writer.finish(long_enough).has_value(), "finish");
    require(peak_memory() <= early_peak + memory_slack, "the writer's memory stays as it was after 16 chunks");
    line.tell(sum.text());
    return 0;
  }

  // Stalls holding all the buffers there are, so that the writer must come to sleep; goes on when the test says so.
  static int read_all(StreamReader& reader, std::uint64_t total, const Line& line, const Turnstile& go_on) {
    Sha256 sum;
    std::vector<Chunk> held;
    std::uint64_t early_peak = 0;
    std::uint64_t stalled = 0;
    std::uint64_t next_stall = mix(1) % (2 * total / stalls);
    for (std::uint64_t chunk = 0;; ++chunk) {
      auto next = reader.next(long_enough);
      if (!next && next.error().code == Errc::misuse) {  // all of them are held
        line.tell("stalled");
        go_on.wait();
        // In any order.
        while (!held.empty())
          held.erase(held.begin() + static_cast<std::ptrdiff_t>(mix(chunk + held.size()) % held.size()));
        next_stall = reader.taken() + mix(++stalled + 1) % (2 * total / stalls);
        continue;
      }
      auto taken = require(std::move(next), "next");
      if (!taken) break;
      sum.add(taken->data());
      if (reader.taken() >= next_stall) held.push_back(std::move(*taken));
      if (chunk == 16) early_peak = peak_memory();
    }
    require(reader.taken() == total, "all of it");
    require(peak_memory() <= early_peak + memory_slack, "the reader's memory stays as it was after 16 chunks");
    line.tell(sum.text());
    return 0;
  }
};

TEST_F(StreamVolume, IsTheSameOnBothEndsWhileTheReaderStallsAndMemoryStaysFlat) {
  const auto total = bytes_to_send();
  const Turnstile made;
  const Turnstile go_on;
  Line from_writer;
  Line from_reader;
  auto writing = Process::fork([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto client = daemon_.connect();
    auto writer =
        require(client.create_stream_writer("s", {.chunk_size = chunk_size, .total_length = total}), "create");
    made.pass();
    return write_all(writer, total, from_writer);
  });
  made.wait();
  auto reading = Process::fork([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto client = daemon_.connect();
    auto reader = require(client.open_stream_reader("s"), "open");
    require(reader.total_length() == total, "total length");
    return read_all(reader, total, from_reader, go_on);
  });
  std::uint64_t stalled = 0;
  std::string read_sum;
  while ((read_sum = from_reader.hear()) == "stalled") {
    ++stalled;
    while (!is_asleep(writing.pid())) std::this_thread::yield();
    go_on.pass();
  }
  EXPECT_EQ(read_sum.size(), 64U);
  EXPECT_EQ(read_sum, from_writer.hear());
  EXPECT_EQ(writing.wait(), 0);
  EXPECT_EQ(reading.wait(), 0);
  EXPECT_GT(stalled, stalls / 3);
  RecordProperty("stalls", static_cast<int>(stalled));
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
//
// 100 MiB from one process to another, which reads every byte (it adds up the 64-bit words).
//
//   memio         the writer has produced its bytes in the region, begin(), as writers of large payloads do. commit();
//   the
//                 reader, asleep in Region::wait(), leases the snapshot and adds it up in place
//   memio_copied  for writers who have their bytes elsewhere: Region::write(), which copies them first
//   socket        the writer writes the bytes to a Unix stream socket; the reader reads them piece by piece into a
//   buffer that
//                 stays in its cache, and adds each up: kernel and reader work at the same time, on two CPUs
//
// All begin with the bytes in the writer's memory and end when it has the sum. Memory was touched before. Real time.

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <vector>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr std::size_t size = std::size_t{100} << 20;
constexpr std::size_t piece = std::size_t{256} << 10;
constexpr unsigned writer_cpu = 0;
constexpr unsigned reader_cpu = 1;

std::uint64_t sum(std::span<const std::byte> bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  return std::accumulate(words, words + bytes.size() / sizeof *words, std::uint64_t{0});
}

void check(std::uint64_t found, std::uint64_t expected) {
  if (found != expected) die("the reader found other bytes than were written");
}

// The reader's answer, a sum.
class Answer {
 public:
  Answer() { must(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_), "making a socketpair"); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() {
    UniqueFd(ends_[0]).reset();
    UniqueFd(ends_[1]).reset();
  }
  void give(std::uint64_t value) const { must(::write(ends_[0], &value, sizeof value), "answering"); }
  [[nodiscard]] std::uint64_t take() const {
    std::uint64_t value = 0;
    must(::read(ends_[1], &value, sizeof value), "waiting for the answer");
    return value;
  }

 private:
  int ends_[2];
};

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  const Daemon daemon;
  auto client = daemon.connect();
  auto region = must(client.create("big", {.capacity = size, .slots = 2}));
  std::vector<std::byte> source(size);
  for (std::size_t i = 0; i < size; ++i) source[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  const auto expected = sum(source);

  const Answer answer;
  const Process reader = Process::fork([&]() -> int {
    pin_to_cpu(reader_cpu);
    auto own_client = daemon.connect();
    auto own = must(own_client.open("big", Access::read));
    for (std::uint64_t seen = 0;;) {
      must(own.wait(seen, std::chrono::milliseconds(-1)));
      const auto snapshot = must(own.read());
      seen = snapshot.sequence();
      answer.give(sum(snapshot.data()));
    }
  });

  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "making a socketpair");
  const UniqueFd socket(ends[0]);
  const UniqueFd other(ends[1]);
  const Process socket_reader = Process::fork([&]() -> int {
    pin_to_cpu(reader_cpu);
    std::vector<std::byte> buffer(piece);
    for (;;) {
      std::uint64_t total = 0;
      std::size_t kept = 0;  // bytes of a word that is not whole yet
      for (std::size_t got = 0; got < size;) {
        const auto n = static_cast<std::size_t>(
            must(::read(other.get(), buffer.data() + kept, std::min(buffer.size() - kept, size - got)), "reading"));
        if (n == 0) return 0;
        got += n;
        const std::size_t whole = (kept + n) / sizeof(std::uint64_t) * sizeof(std::uint64_t);
        total += sum(std::span(buffer).first(whole));
        kept = kept + n - whole;
        std::memmove(buffer.data(), buffer.data() + whole, kept);
      }
      answer.give(total);
    }
  });

  pin_to_cpu(writer_cpu);
  for (unsigned slot = 0; slot < 2; ++slot) {  // touches both
    must(region.write(source));
    check(answer.take(), expected);
  }

  add("big_read/memio",
      [&](benchmark::State& state) {
        for (auto _ : state) {
          state.PauseTiming();
          const auto payload = must(region.begin(size));
          std::memcpy(payload.data(), source.data(), size);
          state.ResumeTiming();
          must(region.commit());
          check(answer.take(), expected);
        }
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  add("big_read/memio_copied",
      [&](benchmark::State& state) {
        for (auto _ : state) {
          must(region.write(source));
          check(answer.take(), expected);
        }
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  add("big_read/socket",
      [&](benchmark::State& state) {
        for (auto _ : state) {
          for (std::size_t sent = 0; sent < size;)
            sent += static_cast<std::size_t>(must(::write(socket.get(), source.data() + sent, size - sent), "writing"));
          check(answer.take(), expected);
        }
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  return run(argc, argv);
}

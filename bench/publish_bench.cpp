// SPDX-License-Identifier: MIT
//
// What a publish costs its writer when nobody sleeps.
//
// 1 MiB by copy: Region::write() against std::memcpy() of the same source to mapped shared memory. Both rotate over as
// many buffers as the region has slots, two: with two, ours cannot stay in a smaller part of the caches than its peer
// (a writer takes the lowest free slot, so without readers it only ever touches two, whatever their number).
//
// 64 bytes in place: begin(), 64 bytes, commit() against one uncontended atomic fetch_add on memory of the same kind.
//
// One process and one thread; so CPU time, which other programs disturb less.

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstring>
#include <vector>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr unsigned slots = 2;

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  const Daemon daemon;
  auto client = daemon.connect();
  auto large = must(client.create("large", {.capacity = mebibyte, .slots = slots}));
  auto small = must(client.create("small", {.capacity = 64}));
  const std::vector<std::byte> source(mebibyte, std::byte{42});
  auto* buffers = static_cast<std::byte*>(map_shared(slots * mebibyte));
  const Shared<std::atomic<std::uint64_t>> counter;
  pin_to_cpu(0);

  add("publish_1mib/memio", [&](benchmark::State& state) {
    for (auto _ : state) must(large.write(source));
  });
  add("publish_1mib/memcpy", [&](benchmark::State& state) {
    unsigned next = 0;
    for (auto _ : state) {
      std::memcpy(buffers + next * mebibyte, source.data(), mebibyte);
      benchmark::ClobberMemory();
      next = (next + 1) % slots;
    }
  });

  add("publish_64b/memio", [&](benchmark::State& state) {
    std::array<std::byte, 64> bytes{};
    for (auto _ : state) {
      benchmark::DoNotOptimize(bytes);
      const auto payload = small.begin(bytes.size());
      if (!payload) die(payload.error().text());
      std::memcpy(payload->data(), bytes.data(), bytes.size());
      if (const auto sequence = small.commit(); !sequence) die(sequence.error().text());
    }
  });
  add("publish_64b/fetch_add", [&](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(counter->fetch_add(1));
  });

  const int status = run(argc, argv);
  ::munmap(buffers, slots * mebibyte);
  return status;
}

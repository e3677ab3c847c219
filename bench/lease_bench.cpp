// SPDX-License-Identifier: MIT
//
// What a reader pays for a snapshot: Region::read() and the end of its Snapshot, against two uncontended atomic
// read-modify-writes on shared memory, which is the least that taking and giving back anything can cost. The payload is
// not touched. Also, without a target, what it costs to find that nothing has changed.
//
// One process and one thread; so CPU time, which other programs disturb less.

#include <atomic>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  const Daemon daemon;
  auto client = daemon.connect();
  auto writer = must(client.create("region", {.capacity = 64}));
  auto region = must(client.open("region", Access::read));
  const std::array<std::byte, 64> bytes{};
  const auto sequence = must(writer.write(bytes));
  const Shared<std::atomic<std::uint64_t>> counter;
  pin_to_cpu(0);

  add("lease/memio", [&](benchmark::State& state) {
    for (auto _ : state) {
      const auto snapshot = region.read();
      if (!snapshot) die(snapshot.error().text());
      benchmark::DoNotOptimize(snapshot->data().data());
    }
  });
  add("lease/atomics", [&](benchmark::State& state) {
    for (auto _ : state) {
      benchmark::DoNotOptimize(counter->fetch_or(1));
      benchmark::DoNotOptimize(counter->fetch_and(~std::uint64_t{1}));
    }
  });
  add("unchanged/memio", [&](benchmark::State& state) {
    for (auto _ : state) {
      const auto snapshot = region.read(sequence);
      if (!snapshot || *snapshot) die("the region has changed");
    }
  });
  return run(argc, argv);
}

// SPDX-License-Identifier: MIT
//
// What the first pass over a region's memory costs, and what prefaulting and huge pages save of it. 16 MiB each.
//
//   first_publish/untouched   Region::write() into a region that was just made: every page is allocated and mapped then
//   first_publish/prefaulted  the same after Region::prefault()
//   first_publish/huge        the same with huge_pages
//   prefault/small, /huge     Region::prefault() itself, of two slots; so for twice the bytes
//   first_read/small          a reader that has just opened the region adds up the payload: every page is mapped then
//   first_read/prefaulted     the same after the reader's Region::prefault()
//   first_read/huge           without it, but in a region of huge pages, which its writer has prefaulted
//   shrink/small, /huge       Region::shrink() of one stale slot
//
// Each iteration has a region or a handle of its own, made while the clock stands. One process and one thread; CPU
// time.

#include <numeric>
#include <vector>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr std::size_t size = (std::size_t{16} << 20) - 64;  // with its header whole huge pages

RegionOptions options(bool huge_pages) { return {.capacity = size, .slots = 2, .huge_pages = huge_pages}; }

std::uint64_t sum(std::span<const std::byte> bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  return std::accumulate(words, words + bytes.size() / sizeof *words, std::uint64_t{0});
}

class Bench {
 public:
  void add_first_publish(const char* name, bool huge_pages, bool prefault) {
    add(name, [=, this](benchmark::State& state) {
      for (auto _ : state) {
        state.PauseTiming();
        auto region = must(client_.create("publish", options(huge_pages)));
        if (prefault) must(region.prefault());
        state.ResumeTiming();
        must(region.write(source_));
        state.PauseTiming();
        must(client_.remove("publish"));
        { const auto gone = std::move(region); }
        state.ResumeTiming();
      }
    })->Unit(benchmark::kMillisecond);
  }

  void add_prefault(const char* name, bool huge_pages) {
    add(name, [=, this](benchmark::State& state) {
      for (auto _ : state) {
        state.PauseTiming();
        auto region = must(client_.create("prefault", options(huge_pages)));
        state.ResumeTiming();
        must(region.prefault());
        state.PauseTiming();
        must(client_.remove("prefault"));
        { const auto gone = std::move(region); }
        state.ResumeTiming();
      }
    })->Unit(benchmark::kMillisecond);
  }

  void add_first_read(const char* name, Region& region, bool prefault) {
    must(region.write(source_));
    add(name, [=, this, name = region.info().name](benchmark::State& state) {
      for (auto _ : state) {
        state.PauseTiming();
        auto reader = must(client_.open(name, Access::read));
        if (prefault) must(reader.prefault());
        state.ResumeTiming();
        {
          const auto snapshot = must(reader.read());
          benchmark::DoNotOptimize(sum(snapshot.data()));
        }
        state.PauseTiming();
        { const auto gone = std::move(reader); }
        state.ResumeTiming();
      }
    })->Unit(benchmark::kMillisecond);
  }

  void add_shrink(const char* name, Region& region) {
    add(name, [=, this, &region](benchmark::State& state) {
      for (auto _ : state) {
        state.PauseTiming();
        must(region.prefault());
        must(region.write(source_));
        must(region.write({}));
        state.ResumeTiming();
        must(region.shrink());
      }
    })->Unit(benchmark::kMillisecond);
  }

  Region create(const char* name, bool huge_pages) {
    auto region = must(client_.create(name, options(huge_pages)));
    if (huge_pages) must(region.prefault());
    return region;
  }

 private:
  const Daemon daemon_;
  Client client_ = daemon_.connect();
  const std::vector<std::byte> source_ = std::vector<std::byte>(size, std::byte{42});
};

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  Bench bench;
  auto small = bench.create("small", false);
  auto huge = bench.create("huge", true);
  auto small_to_shrink = bench.create("small-to-shrink", false);
  auto huge_to_shrink = bench.create("huge-to-shrink", true);
  pin_to_cpu(0);
  bench.add_first_publish("first_publish/untouched", false, false);
  bench.add_first_publish("first_publish/prefaulted", false, true);
  bench.add_first_publish("first_publish/huge", true, true);
  bench.add_prefault("prefault/small", false);
  bench.add_prefault("prefault/huge", true);
  bench.add_first_read("first_read/small", small, false);
  bench.add_first_read("first_read/prefaulted", small, true);
  bench.add_first_read("first_read/huge", huge, false);
  bench.add_shrink("shrink/small", small_to_shrink);
  bench.add_shrink("shrink/huge", huge_to_shrink);
  return run(argc, argv);
}

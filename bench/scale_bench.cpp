// SPDX-License-Identifier: MIT
//
// What memiod takes up with 10,000 regions and 1,000 sessions, or with as many regions as the limit of descriptors
// allows.
//
//   scale_memory/memiod   its resident memory, without the pages of the regions themselves, which it has mapped
//   scale_memory/allowed  64 MiB for 10,000 regions, and as much less for fewer
//
// Google Benchmark knows only times: a byte is told as a nanosecond.

#include "daemon.h"
#include "run.h"
#include "support/crowd.h"
#include "support/process_use.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr std::uint64_t sessions = 1'000;
constexpr std::uint64_t wanted_regions = 10'000;

void add_bytes(const char* name, std::uint64_t regions, const std::function<std::uint64_t()>& bytes) {
  add(name,
      [=](benchmark::State& state) {
        for (auto _ : state) state.SetIterationTime(static_cast<double>(bytes()) * 1e-9);
        if (regions < wanted_regions)
          state.SetLabel("with " + std::to_string(regions) +
                         " regions, because the limit of descriptors may not be raised");
      })
      ->UseManualTime()
      ->Iterations(1);
}

}  // namespace

int main(int argc, char** argv) {
  const auto regions_each = test::room_for_regions(wanted_regions, sessions) / sessions;
  const auto regions = regions_each * sessions;
  const Daemon daemon;
  const test::Crowd crowd(daemon.socket_path(), sessions, regions_each);
  add_bytes("scale_memory/memiod", regions, [&] { return test::use_of(daemon.pid()).own; });
  add_bytes("scale_memory/allowed", regions, [=] { return (std::uint64_t{64} << 20) * regions / wanted_regions; });
  return run(argc, argv);
}

// SPDX-License-Identifier: MIT
#pragma once

#include <benchmark/benchmark.h>

#include <thread>

#include "process.h"

namespace memio::bench {

// Registers a benchmark that may use what main() holds.
template <class Body>
benchmark::internal::Benchmark* add(const char* name, Body body) {
  return benchmark::RegisterBenchmark(name, [body](benchmark::State& state) { body(state); });
}

// What is left to main() when all is registered.
inline int run(int argc, char** argv) {
  // libstdc++ counts references without atomics as long as a process has never had a second thread. Most programs have.
  std::thread([] {}).join();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace memio::bench

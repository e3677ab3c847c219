// SPDX-License-Identifier: MIT
#pragma once

// Round trips between this process and a Partner. An end of such a connection has
//
//   void send(const Packet&)    gives a message to the other end
//   void receive(Packet&)       waits for the other end's
//
// and every kind of end does the same work: the message starts in the sender's own memory and ends in the receiver's.
// Those that carry no bytes, the bare ones, carry `last` alone.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace memio::bench {

struct Packet {
  std::uint64_t last = 0;  // 1: the round is over
  std::array<std::byte, 1016> rest{};
};
static_assert(sizeof(Packet) == 1024);

// What the partner does.
template <class End>
void answer(End& end, Partner::Rounds rounds) {
  Packet message;
  while (rounds.next()) {
    do {
      end.receive(message);
      end.send(message);
    } while (message.last == 0);
  }
}

// The seconds of a round trip: the median of many short batches. Whoever is taken off the CPU in between for a time
// slice, some thousand round trips long, spoils one batch and not the figure.
template <class End>
double round_trip(End& end, const Partner& partner) {
  using Clock = std::chrono::steady_clock;
  constexpr unsigned batches = 101;
  constexpr unsigned round_trips = 10;
  std::array<double, batches> seconds{};
  Packet message;
  Packet reply;
  const auto batch = [&] {
    for (unsigned i = 0; i < round_trips; ++i) {
      end.send(message);
      end.receive(reply);
      benchmark::DoNotOptimize(reply);
    }
  };
  partner.begin_round();
  batch();  // until the partner is awake
  for (auto& of_batch : seconds) {
    const auto begun = Clock::now();
    batch();
    of_batch = std::chrono::duration<double>(Clock::now() - begun).count() / round_trips;
  }
  message.last = 1;
  end.send(message);
  end.receive(reply);
  std::ranges::nth_element(seconds, seconds.begin() + batches / 2);
  return seconds[batches / 2];
}

// Registers a benchmark that reports what `measure` returns, seconds.
template <class Measure>
void add_round_trip(const char* name, Measure measure) {
  add(name,
      [measure](benchmark::State& state) {
        for (auto _ : state) state.SetIterationTime(measure());
      })
      ->UseManualTime()
      ->Iterations(1);
}

enum class Waiting { spinning, sleeping };

// Two regions, one for each direction; a spinning end looks at the sequence, a sleeping one calls Region::wait().
template <Waiting waiting>
class RegionEnd {
 public:
  // One side creates the regions, the other opens them.
  static RegionEnd create(Client& client) {
    auto out = must(client.create("there", {.capacity = sizeof(Packet)}));
    must(client.create("back", {.capacity = sizeof(Packet)}));
    return RegionEnd(std::move(out), must(client.open("back", Access::read)));
  }
  static RegionEnd open(Client& client) {
    auto in = must(client.open("there", Access::read));
    return RegionEnd(must(client.open("back", Access::write)), std::move(in));
  }

  void send(const Packet& message) { must(out_.write(std::as_bytes(std::span(&message, 1)))); }
  void receive(Packet& message) {
    if constexpr (waiting == Waiting::sleeping) {
      must(in_.wait(seen_, std::chrono::milliseconds(-1)));
    } else {
      while (in_.sequence() == seen_) {
      }
    }
    seen_ = must(in_.read_into(std::as_writable_bytes(std::span(&message, 1)))).sequence;
  }

 private:
  RegionEnd(Region out, Region in) : out_(std::move(out)), in_(std::move(in)) {}
  Region out_;
  Region in_;
  std::uint64_t seen_ = 0;
};

}  // namespace memio::bench

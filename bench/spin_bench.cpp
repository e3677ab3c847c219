// SPDX-License-Identifier: MIT
//
// 1 KiB from one process to another and back, both spinning, each on a CPU of its own.
//
//   memio         Region::write() and, once Region::sequence() has moved, Region::read_into()
//   iceoryx       loan, copy, publish; take() in a loop, copy, release
//   atomics       two words on cache lines of their own, stored and loaded: no bytes are carried. It is the physical
//   limit atomics_1kib  the same with the bytes copied into and out of the shared memory: what is left for memio to
//   lose
//
// Two processes that run at once; so real time.

#include <algorithm>
#include <atomic>

#include "ping_pong.h"
#ifdef MEMIO_BENCH_ICEORYX
#include "iceoryx_peer.h"
#endif

namespace {

using namespace memio;
using namespace memio::bench;

constexpr unsigned own_cpu = 0;
constexpr unsigned partner_cpu = 1;

struct Lines {
  struct alignas(128) Line {
    std::atomic<std::uint64_t> word{0};
    alignas(128) Packet message;
  };
  Line there;
  Line back;
};

template <bool carries_bytes>
class AtomicEnd {
 public:
  AtomicEnd(Lines::Line& out, Lines::Line& in) : out_(out), in_(in) {}

  void send(const Packet& message) {
    if constexpr (carries_bytes) out_.message = message;
    out_.word.store(sent_ += 2 + message.last, std::memory_order_release);
    sent_ &= ~std::uint64_t{1};
  }
  void receive(Packet& message) {
    std::uint64_t word = 0;
    while ((word = in_.word.load(std::memory_order_acquire)) < seen_ + 2) {
    }
    seen_ = word & ~std::uint64_t{1};
    if constexpr (carries_bytes) message = in_.message;
    message.last = word & 1;
  }

 private:
  Lines::Line& out_;
  Lines::Line& in_;
  std::uint64_t sent_ = 0;
  std::uint64_t seen_ = 0;
};

// Ends and their partner in one.
template <bool carries_bytes>
class AtomicPair {
 public:
  AtomicPair()
      : partner_([&](Partner::Rounds rounds) {
          pin_to_cpu(partner_cpu);
          AtomicEnd<carries_bytes> end(lines_->back, lines_->there);
          answer(end, rounds);
        }) {}
  double measure() { return round_trip(end_, partner_); }

 private:
  Shared<Lines> lines_;
  Partner partner_;
  AtomicEnd<carries_bytes> end_{lines_->there, lines_->back};
};

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  const Daemon daemon;
  auto client = daemon.connect();
  auto end = RegionEnd<Waiting::spinning>::create(client);
  const Partner partner([&](Partner::Rounds rounds) {
    pin_to_cpu(partner_cpu);
    auto own_client = daemon.connect();
    auto own_end = RegionEnd<Waiting::spinning>::open(own_client);
    answer(own_end, rounds);
  });
  AtomicPair<false> bare;
  AtomicPair<true> copying;
  add_round_trip("spin_rtt/memio", [&] { return round_trip(end, partner); });
  add_round_trip("spin_rtt/atomics", [&] { return bare.measure(); });
  add_round_trip("spin_rtt/atomics_1kib", [&] { return copying.measure(); });

#ifdef MEMIO_BENCH_ICEORYX
  IceoryxPair iceoryx(Waiting::spinning, own_cpu, partner_cpu);
  if (iceoryx.ready()) add_round_trip("spin_rtt/iceoryx", [&] { return iceoryx.round_trip(); });
#endif

  pin_to_cpu(own_cpu);
  return run(argc, argv);
}

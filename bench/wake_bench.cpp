// SPDX-License-Identifier: MIT
//
// A round trip between two processes that sleep until they are called. Both are pinned to one CPU: between two, waking
// an idle CPU costs more than all else and hides what is compared.
//
//   memio    1 KiB each way: Region::write(); Region::wait() without a time limit, Region::read_into()
//   iceoryx  1 KiB each way: loan, copy, publish; WaitSet::wait(), take(), copy, release
//   eventfd  nothing each way: write() to a blocking eventfd and read() from another. The least a sleeper can be woken
//   with
//
// Real time: with two processes on one CPU, the time of both.

#include <sys/eventfd.h>
#include <unistd.h>

#include "ping_pong.h"
#ifdef MEMIO_BENCH_ICEORYX
#include "iceoryx_peer.h"
#endif

namespace {

using namespace memio;
using namespace memio::bench;

// The last message is the number 2 where the others are 1.
class EventfdEnd {
 public:
  EventfdEnd(int out, int in) : out_(out), in_(in) {}

  void send(const Packet& message) {
    const std::uint64_t number = 1 + message.last;
    must(::write(out_, &number, sizeof number), "writing to an eventfd");
  }
  void receive(Packet& message) {
    std::uint64_t number = 0;
    must(::read(in_, &number, sizeof number), "reading from an eventfd");
    message.last = number - 1;
  }

 private:
  int out_;
  int in_;
};

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  pin_to_cpu(0);  // what is forked and started from here on as well

  const Daemon daemon;
  auto client = daemon.connect();
  auto end = RegionEnd<Waiting::sleeping>::create(client);
  const Partner partner([&](Partner::Rounds rounds) {
    auto own_client = daemon.connect();
    auto own_end = RegionEnd<Waiting::sleeping>::open(own_client);
    answer(own_end, rounds);
  });
  add_round_trip("wake_rtt/memio", [&] { return round_trip(end, partner); });

  const UniqueFd there(must(::eventfd(0, EFD_CLOEXEC), "making an eventfd"));
  const UniqueFd back(must(::eventfd(0, EFD_CLOEXEC), "making an eventfd"));
  const Partner eventfd_partner([&](Partner::Rounds rounds) {
    EventfdEnd own_end(back.get(), there.get());
    answer(own_end, rounds);
  });
  EventfdEnd eventfd_end(there.get(), back.get());
  add_round_trip("wake_rtt/eventfd", [&] { return round_trip(eventfd_end, eventfd_partner); });

#ifdef MEMIO_BENCH_ICEORYX
  IceoryxPair iceoryx(Waiting::sleeping, 0, 0);
  if (iceoryx.ready()) add_round_trip("wake_rtt/iceoryx", [&] { return iceoryx.round_trip(); });
#endif

  return run(argc, argv);
}

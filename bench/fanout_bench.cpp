// SPDX-License-Identifier: MIT
//
// What a publish costs its writer when 64 processes sleep until it comes, against one process; and the same for the
// bare system call that does the waking, one write() to an eventfd that is in as many epolls, by edge. Waking a process
// is work for the kernel, so that neither can be flat; the difference between the two is memio's.
//
// Every publish finds all subscribers asleep: the benchmark waits, outside of what is measured, for a word of each that
// it is about to sleep, and for the kernel to say that it does. The writer has a CPU of its own, and the subscribers
// share another.

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr unsigned writer_cpu = 0;
constexpr unsigned subscribers_cpu = 1;

// Processes that do nothing but sleep and be woken.
class Sleepers {
 public:
  // `prepare` runs in each process and returns what sleeps until the next call.
  template <class Prepare>
  Sleepers(unsigned count, const Prepare& prepare) {
    for (unsigned i = 0; i < count; ++i) {
      processes_.push_back(Process::fork([&]() -> int {
        pin_to_cpu(subscribers_cpu);
        auto sleep = prepare();
        for (const std::uint64_t one = 1;;) {
          must(::write(about_to_sleep_.get(), &one, sizeof one), "telling of a sleep");
          sleep();
        }
      }));
    }
  }

  // Waits until all of them sleep; each has slept and been woken as often as this was called.
  void wait_until_asleep() {
    for (std::uint64_t told = 0; told < processes_.size();) {
      std::uint64_t more = 0;
      must(::read(about_to_sleep_.get(), &more, sizeof more), "waiting for a sleep");
      told += more;
    }
    // What is left is their way into the kernel, of which no event tells.
    for (const auto& process : processes_)
      while (!asleep(process.pid())) ::sched_yield();
  }

 private:
  static bool asleep(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    const auto end_of_name = text.rfind(')');
    return end_of_name != std::string::npos && end_of_name + 2 < text.size() && text[end_of_name + 2] == 'S';
  }

  UniqueFd about_to_sleep_{must(::eventfd(0, EFD_CLOEXEC), "making an eventfd")};  // counts them
  std::vector<Process> processes_;
};

template <class Publish>
void measure(benchmark::State& state, Sleepers& sleepers, const Publish& publish) {
  for (auto _ : state) {
    sleepers.wait_until_asleep();
    const auto begun = std::chrono::steady_clock::now();
    publish();
    const auto ended = std::chrono::steady_clock::now();
    state.SetIterationTime(std::chrono::duration<double>(ended - begun).count());
  }
}

// A region, or an eventfd, and its sleepers.
struct MemioFanout {
  MemioFanout(const Daemon& daemon, unsigned count)
      : client(daemon.connect()),
        region(must(client.create("fanout-" + std::to_string(count), {.capacity = 64}))),
        sleepers(count, [&] {
          return
              [own_client = daemon.connect(), own = std::optional<Region>(), count, seen = std::uint64_t{0}]() mutable {
                if (!own) own = must(own_client.open("fanout-" + std::to_string(count), Access::read));
                seen = must(own->wait(seen, std::chrono::milliseconds(-1)));
              };
        }) {}
  void publish() {
    const std::array<std::byte, 64> bytes{};
    must(region.write(bytes));
  }
  Client client;
  Region region;
  Sleepers sleepers;
};

struct EventfdFanout {
  explicit EventfdFanout(unsigned count)
      : doorbell(must(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "making an eventfd")), sleepers(count, [this] {
          const int epoll = must(::epoll_create1(EPOLL_CLOEXEC), "making an epoll");
          epoll_event interest{EPOLLIN | EPOLLET, {}};
          must(::epoll_ctl(epoll, EPOLL_CTL_ADD, doorbell.get(), &interest), "waiting for an eventfd");
          return [epoll] {
            epoll_event event;
            must(::epoll_wait(epoll, &event, 1, -1), "waiting for an eventfd");
          };
        }) {}
  void publish() const {
    const std::uint64_t one = 1;
    must(::write(doorbell.get(), &one, sizeof one), "writing to an eventfd");
  }
  UniqueFd doorbell;
  Sleepers sleepers;
};

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  const Daemon daemon;
  MemioFanout memio_1(daemon, 1);
  MemioFanout memio_64(daemon, 64);
  EventfdFanout eventfd_1(1);
  EventfdFanout eventfd_64(64);
  pin_to_cpu(writer_cpu);

  const auto add_fanout = [](const char* name, auto& fanout) {
    add(name, [&fanout](benchmark::State& state) { measure(state, fanout.sleepers, [&fanout] { fanout.publish(); }); })
        ->UseManualTime()
        ->Iterations(10);
  };
  add_fanout("fanout/memio_1", memio_1);
  add_fanout("fanout/memio_64", memio_64);
  add_fanout("fanout/eventfd_1", eventfd_1);
  add_fanout("fanout/eventfd_64", eventfd_64);
  return run(argc, argv);
}

// SPDX-License-Identifier: MIT
#include "process.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <tuple>

#include "must.h"

namespace memio::bench {

void pin_to_cpu(unsigned index) {
  // The set that the program was started with: pinning again must not choose from what was pinned before.
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    must(::sched_getaffinity(0, sizeof set, &set), "asking for the CPUs");
    return set;
  }();
  cpu_set_t one;
  CPU_ZERO(&one);
  unsigned seen = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && seen <= index; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ++seen;
  }
  must(::sched_setaffinity(0, sizeof one, &one), "pinning to a CPU");
}

void run_before_others() noexcept {
  constexpr int niceness = -15;
  ::setpriority(PRIO_PROCESS, 0, niceness);
  // Where the scheduler groups processes by session, niceness counts only within the session. report.py gives each
  // program one of its own; a user's whole terminal is left alone.
  if (::getsid(0) == ::getpid()) std::ofstream("/proc/self/autogroup") << niceness;
}

bool Partner::Rounds::next() const noexcept {
  char one = 0;
  return ::read(fd_, &one, 1) == 1;
}

Partner::Partner(const std::function<void(Rounds)>& body)
    : process_([&] {
        std::tie(rounds_read_, rounds_write_) = test::make_pipe();
        return Process::fork([&] {
          rounds_write_.reset();  // or the rounds would never end
          body(Rounds(rounds_read_.get()));
          std::exit(0);  // iceoryx tidies up at exit
          return 0;
        });
      }()) {}

Partner::~Partner() {
  rounds_write_.reset();
  process_.wait();
}

void Partner::begin_round() const { must(::write(rounds_write_.get(), "x", 1), "beginning a round"); }

void* map_shared(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("no shared memory");
  return memory;
}

}  // namespace memio::bench

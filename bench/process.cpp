// SPDX-License-Identifier: MIT
#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
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

namespace {

std::pair<UniqueFd, UniqueFd> make_pipe() {
  std::array<int, 2> ends{};
  must(::pipe2(ends.data(), O_CLOEXEC), "making a pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

Process Process::run(const std::vector<std::string>& command) {
  auto [read_end, write_end] = make_pipe();
  Process process = fork([&, output = write_end.get()] {
    ::dup2(output, STDOUT_FILENO);
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
  });
  process.output_ = std::move(read_end);
  return process;
}

Process Process::fork(const std::function<void()>& body) {
  const pid_t parent = ::getpid();
  const pid_t pid = must(::fork(), "forking");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent) body();
    ::_exit(0);
  }
  return Process(pid);
}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::wait() noexcept {
  if (pid_ < 0) return;
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Process::stop() noexcept {
  if (pid_ >= 0) ::kill(pid_, SIGTERM);
  wait();
}

bool Partner::Rounds::next() const noexcept {
  char one = 0;
  return ::read(fd_, &one, 1) == 1;
}

Partner::Partner(const std::function<void(Rounds)>& body)
    : process_([&] {
        std::tie(rounds_read_, rounds_write_) = make_pipe();
        return Process::fork([&] {
          rounds_write_.reset();  // or the rounds would never end
          body(Rounds(rounds_read_.get()));
          std::exit(0);  // iceoryx tidies up at exit
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

TemporaryDirectory::TemporaryDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "memio-bench.XXXXXX";
  if (!::mkdtemp(name.data())) die("cannot make a temporary directory");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool wait_for_text(int fd, std::string_view text, int seconds) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  std::string seen;
  std::array<char, 4096> buffer;
  while (seen.find(text) == std::string::npos) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wanted{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&wanted, 1, static_cast<int>(left)) <= 0) return false;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n <= 0) return false;
    seen.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace memio::bench

// SPDX-License-Identifier: MIT
#include "support/stepped_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace memio::test {

namespace {

constexpr int cannot_be_traced = 99;

int wait_for_stop(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

SteppedProcess::SteppedProcess(const std::function<void()>& prepare, const std::function<void()>& act)
    : process_(Process::fork([&] {
        prepare();
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return cannot_be_traced;
        ::raise(SIGSTOP);
        act();
        ::raise(SIGSTOP);
        ::pause();
        return 0;
      })) {
  const int status = wait_for_stop(pid());
  if (!WIFSTOPPED(status)) throw std::runtime_error("the child could not be traced");
  ::ptrace(PTRACE_SETOPTIONS, pid(), nullptr, PTRACE_O_EXITKILL);
}

void SteppedProcess::start_step() const { ASSERT_EQ(::ptrace(PTRACE_SINGLESTEP, pid(), nullptr, nullptr), 0); }

bool SteppedProcess::wait() const {
  const int status = wait_for_stop(pid());
  if (!WIFSTOPPED(status)) throw std::runtime_error("the child ended by itself: " + std::to_string(status));
  return WSTOPSIG(status) == SIGTRAP;
}

void SteppedProcess::run_to_system_call() const {
  ASSERT_EQ(::ptrace(PTRACE_SYSCALL, pid(), nullptr, nullptr), 0);
  ASSERT_TRUE(wait());
}

void SteppedProcess::kill() {
  process_.signal(SIGKILL);
  EXPECT_EQ(process_.wait(), 128 + SIGKILL);
}

bool is_asleep(pid_t id) {
  std::ifstream file("/proc/" + std::to_string(id) + "/stat");
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end, 3, ") S") == 0;
}

}  // namespace memio::test

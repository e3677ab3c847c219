// SPDX-License-Identifier: MIT
#include "support/traced_process.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <stdexcept>

#include "support/process.h"

namespace memio::test {

namespace {

// A prctl(2) that no kernel knows: it does nothing but be seen.
constexpr unsigned long marker = 0x4D45'4D49;
constexpr unsigned long outside = ~0UL;

void mark(unsigned long section) { ::syscall(SYS_prctl, marker, section, 0UL, 0UL, 0UL); }

}  // namespace

TracedSection::TracedSection(unsigned id) { mark(id); }
TracedSection::~TracedSection() { mark(outside); }

SystemCalls trace_system_calls(const std::function<int()>& body) {
  auto child = Process::fork([&] {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return 99;
    ::raise(SIGSTOP);
    return body();
  });
  int status = 0;
  const auto wait = [&] {
    while (::waitpid(child.pid(), &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSTOPPED(status);
  };
  if (!wait()) throw std::runtime_error("the child could not be traced");
  ::ptrace(PTRACE_SETOPTIONS, child.pid(), nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);

  SystemCalls calls;
  std::optional<unsigned> section;
  for (int signal = 0;;) {
    ::ptrace(PTRACE_SYSCALL, child.pid(), nullptr, signal);
    signal = 0;
    if (!wait()) break;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
      signal = WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);
      continue;
    }
    __ptrace_syscall_info info{};
    ::ptrace(PTRACE_GET_SYSCALL_INFO, child.pid(), sizeof info, &info);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    if (info.entry.nr == SYS_prctl && info.entry.args[0] == marker) {
      section.reset();
      if (info.entry.args[1] != outside) section = static_cast<unsigned>(info.entry.args[1]);
      if (section) calls[*section];
    } else if (section) {
      calls[*section].push_back(static_cast<long>(info.entry.nr));
    }
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("the traced child failed: status " + std::to_string(status));
  return calls;
}

}  // namespace memio::test

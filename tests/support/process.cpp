// SPDX-License-Identifier: MIT
#include "support/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

namespace memio::test {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "memio-test.XXXXXX";
  if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary directory");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

namespace {

// The child's part of fork(). An exception must not leave it, or the child would go on as a second test program.
[[noreturn]] void be_child_of(pid_t parent, const std::function<int()>& body) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it has ended already
  ::_exit(body());
}

}  // namespace

Process Process::run(const std::vector<std::string>& command, const Environment& environment, bool capture) {
  UniqueFd read_end;
  UniqueFd write_end;
  if (capture) std::tie(read_end, write_end) = make_pipe();
  const int output = write_end.get();
  Process process = fork([&] {
    if (output >= 0) ::dup2(output, STDOUT_FILENO);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    // Others here, WebKit for one, open descriptors that programs inherit, and tests count those of memiod.
    ::close_range(STDERR_FILENO + 1, std::numeric_limits<unsigned>::max(), CLOSE_RANGE_CLOEXEC);
    ::execvp(arguments[0], arguments.data());
    return 127;
  });
  process.output_ = std::move(read_end);
  return process;
}

Process Process::fork(const std::function<int()>& body) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  if (pid == 0) be_child_of(parent, body);
  return Process(pid);
}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

UniqueFd Process::pidfd() const { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))); }

void Process::signal(int number) const { ::kill(pid_, number); }

int Process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::read_all() {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t n = 1; n > 0;) {
    n = ::read(output_.get(), buffer.data(), buffer.size());
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

std::uint64_t raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw std::runtime_error("cannot ask for the limit of descriptors");
  const rlimit raised{wanted, std::max<rlim_t>(wanted, limit.rlim_max)};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Turnstile::Turnstile() { std::tie(read_, write_) = make_pipe(); }

void Turnstile::pass() const {
  if (::write(write_.get(), "x", 1) != 1) throw std::runtime_error("cannot let the other process pass");
}

void Turnstile::wait() const {
  constexpr int longest = 20'000;
  pollfd wanted{read_.get(), POLLIN, 0};
  char one = 0;
  if (::poll(&wanted, 1, longest) != 1 || ::read(read_.get(), &one, 1) != 1)
    throw std::runtime_error("the other process did not come");
}

}  // namespace memio::test

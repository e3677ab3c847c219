// SPDX-License-Identifier: MIT
#include "support/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
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

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
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
    ::execvp(arguments[0], arguments.data());
    return 127;
  });
  process.output_ = std::move(read_end);
  return process;
}

Process Process::fork(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  if (pid == 0) ::_exit(body());
  return Process(pid);
}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

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

Turnstile::Turnstile() { std::tie(read_, write_) = make_pipe(); }

void Turnstile::pass() const { EXPECT_EQ(::write(write_.get(), "x", 1), 1); }

void Turnstile::wait() const {
  constexpr int longest = 20'000;
  pollfd wanted{read_.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&wanted, 1, longest), 1) << "the other process did not come";
  char one = 0;
  ASSERT_EQ(::read(read_.get(), &one, 1), 1);
}

}  // namespace memio::test

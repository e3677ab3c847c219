// SPDX-License-Identifier: MIT
#include "mail_commands.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace memio::ctl {

namespace {

constexpr std::chrono::milliseconds for_ever{-1};

std::string json_or_input(const std::string& json) {
  if (json != "-") return json;
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

// How a program ended, and what it printed.
struct Ended {
  int status = 0;  // its exit status, or 128 + the signal that ended it
  std::string printed;
};

// A file with these contents, to be read from its beginning. It takes as much as there is, so nobody waits for the
// program to read.
Result<UniqueFd> file_of(const std::string& contents) {
  UniqueFd file(::memfd_create("memioctl-arguments", MFD_CLOEXEC));
  if (!file.valid() || ::write(file.get(), contents.data(), contents.size()) != static_cast<ssize_t>(contents.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0)
    return fail_errno(errno, "cannot give the arguments to the program");
  return file;
}

// Starts a program that reads `input` and writes `output`, and ends with us, however we do. If it cannot be run its
// exit status is 127, as in a shell.
Result<pid_t> start(const std::vector<std::string>& program, int input, int output) {
  std::vector<char*> arguments;
  for (const auto& argument : program) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "cannot run " + program[0]);
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::dup2(input, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0) ::execvp(arguments[0], arguments.data());
  std::perror(arguments[0]);
  ::_exit(127);
}

// Reads all that the program prints. It is told to end when its call is cancelled.
void read_printed(Client& client, const CommandCall& call, pid_t pid, int from, std::string& printed) {
  std::array<char, 65536> buffer;
  std::array<Event, 8> events;
  for (bool told = false;;) {
    std::array<pollfd, 2> wanted = {pollfd{from, POLLIN, 0}, pollfd{client.get_fd(), POLLIN, 0}};
    ::poll(wanted.data(), wanted.size(), -1);
    if (wanted[1].revents != 0) client.dispatch(events);
    if (call.cancelled() && !std::exchange(told, true)) ::kill(pid, SIGTERM);
    if (wanted[0].revents == 0) continue;
    const auto n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    printed.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Result<Ended> run(Client& client, const CommandCall& call, const std::vector<std::string>& program) {
  auto file = file_of(call.arguments());
  if (!file) return fail(std::move(file.error()));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const auto pid = start(program, file->get(), write_end.get());
  if (!pid) return fail(pid.error());
  write_end.reset();
  Ended ended;
  read_printed(client, call, *pid, read_end.get(), ended.printed);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0)
    if (errno != EINTR) return fail_errno(errno, "waiting for the program");
  ended.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return ended;
}

// Answers a call by what the program did. Says how.
Result<std::string> answer_by(const Ended& ended, CommandCall& call) {
  if (ended.status != 0) {
    auto rejected = call.reject("ProgramFailed", "the program ended with the status " + std::to_string(ended.status),
                                nlohmann::json{{"status", ended.status}}.dump());
    if (!rejected) return fail(std::move(rejected.error()));
    return std::string("rejected");
  }
  const bool nothing = ended.printed.find_first_not_of(" \t\r\n") == std::string::npos;
  auto answered = call.answer(nothing ? "null" : ended.printed);
  if (answered) return std::string("answered");
  if (answered.error().code != Errc::invalid_parameter) return fail(std::move(answered.error()));
  auto rejected = call.reject("NotJson", "the program printed what is not JSON");
  if (!rejected) return fail(std::move(rejected.error()));
  return std::string("rejected");
}

}  // namespace

Result<void> call(Client& client, const CallArguments& arguments, Output& output) {
  CallOptions options;
  if (arguments.timeout) options.timeout = std::chrono::milliseconds(*arguments.timeout);
  auto answer = client.call(arguments.name, json_or_input(arguments.json), std::move(options));
  if (!answer) return fail(std::move(answer.error()));
  output.text(answer->result + '\n');
  return {};
}

Result<void> handle(Client& client, const HandleArguments& arguments, Output& output) {
  auto handler = client.handle(arguments.name);
  if (!handler) return fail(std::move(handler.error()));
  for (std::uint64_t handled = 0; !arguments.count || handled < *arguments.count; ++handled) {
    auto call = handler->wait(for_ever);
    if (!call) return fail(std::move(call.error()));
    auto ended = run(client, *call, arguments.program);
    if (!ended) return fail(std::move(ended.error()));
    const auto how = answer_by(*ended, *call);
    if (!how) return fail(how.error());
    if (auto written = output.handled(call->name(), *how, ended->status); !written) return written;
  }
  return {};
}

Result<void> emit(Client& client, const EmitArguments& arguments) {
  return client.emit(arguments.topic, json_or_input(arguments.json));
}

Result<void> listen(Client& client, const ListenArguments& arguments, Output& output) {
  auto listener = client.listen(arguments.pattern);
  if (!listener) return fail(std::move(listener.error()));
  for (std::uint64_t told = 0; !arguments.count || told < *arguments.count; ++told) {
    auto message = listener->wait(for_ever);
    if (!message) return fail(std::move(message.error()));
    if (auto written = output.message(*message); !written) return written;
  }
  return {};
}

}  // namespace memio::ctl

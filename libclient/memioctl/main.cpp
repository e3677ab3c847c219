// SPDX-License-Identifier: MIT
// memioctl's command line.
//
// Exit codes, for scripts: 0 it went well; 1 memiod refused or something failed; 2 the command line is wrong; 3 memiod
// cannot be reached; 4 there is no such region or command.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <map>

#include "commands.h"
#include "mail_commands.h"

namespace memio::ctl {
namespace {

enum ExitCode { success = 0, failure = 1, usage = 2, unreachable = 3, not_found = 4 };

struct Arguments {
  std::string socket;
  bool json = false;
  CreateOptions create;
  PutOptions put;
  GetOptions get;
  WatchOptions watch;
  CallArguments call;
  HandleArguments handle;
  EmitArguments emit;
  ListenArguments listen;
  std::string pattern;
  std::string name;
  bool open_metrics = false;
};

using Command = std::function<Result<void>(Client&, Output&)>;

const std::map<std::string, Layout> layouts = {{"memio64", Layout::memio64}, {"memio24", Layout::memio24}};
const std::map<std::string, Lifetime> lifetimes = {{"linger", Lifetime::linger}, {"persistent", Lifetime::persistent}};

void describe_create(CLI::App& app, Arguments& a, Command& command) {
  auto* sub = app.add_subcommand("create", "Make a region");
  sub->add_option("name", a.create.name, "The region's name")->required()->type_name("NAME");
  sub->add_option("capacity", a.create.region.capacity, "Bytes of payload a slot can hold, such as 4096 or 64M")
      ->required()
      ->transform(CLI::AsSizeValue(false))
      ->type_name("CAPACITY");
  sub->add_option("--slots", a.create.region.slots, "1: classic; 2 to 64: snapshot")->capture_default_str();
  sub->add_option("--layout", a.create.region.layout, "memio64 (default) or memio24")
      ->transform(CLI::CheckedTransformer(layouts))
      ->type_name("LAYOUT");
  sub->add_option("--lifetime", a.create.region.lifetime, "persistent (default) or linger")
      ->transform(CLI::CheckedTransformer(lifetimes))
      ->type_name("LIFETIME");
  sub->add_flag("--huge-pages", a.create.region.huge_pages, "Map it with huge pages where the system gives them");
  sub->add_option_function<std::uint32_t>(
         "--shrink-after",
         [&a](std::uint32_t milliseconds) { a.create.region.shrink_after = std::chrono::milliseconds(milliseconds); },
         "Give the memory of stale slots back when nothing was published for so many milliseconds")
      ->type_name("MS");
  sub->callback([&] { command = [&](Client& client, Output& output) { return create(client, a.create, output); }; });
}

void describe_transfer(CLI::App& app, Arguments& a, Command& command) {
  auto* put_command = app.add_subcommand("put", "Publish a file");
  put_command->add_option("name", a.put.name, "The region's name, or the stream's")->required()->type_name("NAME");
  put_command->add_option("file", a.put.file, "The file; - is standard input")->required()->type_name("FILE");
  auto* version =
      put_command->add_option("--version", a.put.version, "The version to publish it under; else the latest + 1");
  auto* create_flag =
      put_command->add_flag("--create", a.put.create, "Make the region, as large as the file, if there is none");
  put_command->add_flag("--stream", a.put.stream, "Send it as a stream, of any length, to one who gets it")
      ->excludes(version)
      ->excludes(create_flag);
  put_command->callback([&] { command = [&](Client& client, Output& output) { return put(client, a.put, output); }; });

  auto* get_command = app.add_subcommand("get", "Write the latest payload to a file or to standard output");
  get_command->add_option("name", a.get.name, "The region's name, or the stream's")->required()->type_name("NAME");
  get_command->add_option("-o,--output", a.get.file, "The file; - is standard output")->type_name("FILE");
  get_command->add_flag("--stream", a.get.stream, "Receive a stream from one who puts it");
  get_command->callback([&] { command = [&](Client& client, Output& output) { return get(client, a.get, output); }; });
}

void describe_inspection(CLI::App& app, Arguments& a, Command& command) {
  auto* list_command = app.add_subcommand("list", "List the regions");
  list_command->add_option("pattern", a.pattern, "Only those; * is any run but /, ** any run at all")
      ->type_name("PATTERN");
  list_command->callback(
      [&] { command = [&](Client& client, Output& output) { return list(client, a.pattern, output); }; });

  auto* stat_command = app.add_subcommand("stat", "Tell all that is known of a region");
  stat_command->add_option("name", a.name, "The region's name")->required()->type_name("NAME");
  stat_command->callback(
      [&] { command = [&](Client& client, Output& output) { return stat(client, a.name, output); }; });

  auto* watch_command = app.add_subcommand("watch", "Tell of regions that come and go, until interrupted");
  watch_command->add_option("pattern", a.watch.pattern, "Only those")->type_name("PATTERN");
  watch_command->add_flag("--versions", a.watch.versions, "Tell of publishes too");
  watch_command->add_option("--count", a.watch.count, "Stop after so many events")->type_name("N");
  watch_command->callback(
      [&] { command = [&](Client& client, Output& output) { return watch(client, a.watch, output); }; });

  auto* shrink_command = app.add_subcommand("shrink", "Give the memory of a region's stale slots back to the system");
  shrink_command->add_option("name", a.name, "The region's name")->required()->type_name("NAME");
  shrink_command->callback(
      [&] { command = [&](Client& client, Output& output) { return shrink(client, a.name, output); }; });

  auto* remove_command = app.add_subcommand("rm", "Remove a region; programs that have it open keep it");
  remove_command->add_option("name", a.name, "The region's name")->required()->type_name("NAME");
  remove_command->callback([&] { command = [&](Client& client, Output&) { return remove(client, a.name); }; });
}

void describe_observation(CLI::App& app, Arguments& a, Command& command) {
  auto* sessions_command = app.add_subcommand("sessions", "List the connections to memiod and what they have");
  sessions_command->callback(
      [&] { command = [](Client& client, Output& output) { return sessions(client, output); }; });

  auto* metrics_command = app.add_subcommand("metrics", "Tell what can be measured of memiod, users and regions");
  metrics_command->add_flag("--openmetrics", a.open_metrics, "As OpenMetrics text, for Prometheus");
  metrics_command->callback(
      [&] { command = [&](Client& client, Output& output) { return metrics(client, a.open_metrics, output); }; });
}

void describe_mail(CLI::App& app, Arguments& a, Command& command) {
  auto* call_command = app.add_subcommand("call", "Call a command and print its answer, which is JSON");
  call_command->add_option("name", a.call.name, "The command's name")->required()->type_name("NAME");
  call_command->add_option("json", a.call.json, "Its arguments, as JSON; - is standard input")->type_name("JSON");
  call_command->add_option("--timeout", a.call.timeout, "Give up after so many milliseconds")->type_name("MS");
  call_command->callback(
      [&] { command = [&](Client& client, Output& output) { return call(client, a.call, output); }; });

  auto* handle_command = app.add_subcommand("handle", "Handle a command by running a program for each call");
  handle_command->add_option("name", a.handle.name, "The command's name")->required()->type_name("NAME");
  handle_command
      ->add_option("program", a.handle.program, "Reads the arguments and prints the answer, both JSON; after --")
      ->required()
      ->type_name("PROGRAM");
  handle_command->add_option("--count", a.handle.count, "Stop after so many calls")->type_name("N");
  handle_command->callback(
      [&] { command = [&](Client& client, Output& output) { return handle(client, a.handle, output); }; });

  auto* emit_command = app.add_subcommand("emit", "Send a message to all who listen to a topic");
  emit_command->add_option("topic", a.emit.topic, "The topic")->required()->type_name("TOPIC");
  emit_command->add_option("json", a.emit.json, "What it says, as JSON; - is standard input")->type_name("JSON");
  emit_command->callback([&] { command = [&](Client& client, Output&) { return emit(client, a.emit); }; });

  auto* listen_command = app.add_subcommand("listen", "Print messages, until interrupted");
  listen_command->add_option("pattern", a.listen.pattern, "Of topics; all if not given")->type_name("PATTERN");
  listen_command->add_option("--count", a.listen.count, "Stop after so many messages")->type_name("N");
  listen_command->callback(
      [&] { command = [&](Client& client, Output& output) { return listen(client, a.listen, output); }; });
}

ExitCode exit_code(const Error& error) {
  return error.code == Errc::no_such_region || error.code == Errc::no_such_command ? not_found : failure;
}

int run(int argc, char** argv) {
  Arguments arguments;
  Command command;
  CLI::App app("memioctl: make, read, write and watch memiod's regions of shared memory");
  app.add_option("--socket", arguments.socket,
                 "memiod's socket, if not $MEMIO_SOCKET or $XDG_RUNTIME_DIR/memio/io.memio")
      ->type_name("PATH");
  app.add_flag("--json", arguments.json, "Print JSON, errors too");
  app.set_version_flag("--version", "memioctl " MEMIO_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  describe_inspection(app, arguments, command);
  describe_observation(app, arguments, command);
  describe_create(app, arguments, command);
  describe_transfer(app, arguments, command);
  describe_mail(app, arguments, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? success : usage;
  }

  auto client = Client::connect(arguments.socket);
  if (!client) {
    report(std::cerr, client.error(), arguments.json);
    return unreachable;
  }
  Output output(std::cout, arguments.json);
  if (auto result = command(*client, output); !result) {
    report(std::cerr, result.error(), arguments.json);
    return exit_code(result.error());
  }
  if (!std::cout.flush()) {
    report(std::cerr, Error{Errc::system, errno, "cannot write to standard output"}, arguments.json);
    return failure;
  }
  return success;
}

}  // namespace
}  // namespace memio::ctl

namespace {

// Or our connection would be taken for the standard input or output that is closed. Whoever uses these meets an error.
void fill_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) [[maybe_unused]]
      const int filled = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  std::signal(SIGCHLD, SIG_DFL);  // whoever started us may have ignored it, and then nobody can be waited for
  try {
    return memio::ctl::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "memioctl: giving up: " << error.what() << '\n';
    return memio::ctl::failure;
  }
}

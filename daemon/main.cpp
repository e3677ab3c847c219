// SPDX-License-Identifier: MIT
// Reads the command line and wires the parts together.

#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <iostream>

#include "broker.h"
#include "config.h"
#include "known_users.h"
#include "listen.h"
#include "log.h"
#include "memio/socket_path.h"
#include "notifier.h"
#include "passed_fds.h"
#include "store.h"
#include "take_over.h"
#include "version.h"

namespace memio::broker {
namespace {

// What memiod ends with if it was started by a socket and is not needed any more. Any other end under systemd, the one
// by a signal as well, is one after which it is started again (memiod.service).
constexpr int idle_status = 3;

struct Options {
  std::string socket;
  std::string log_level = "info";
  unsigned exit_idle_time = 30;  // seconds
  bool take_over = false;
  std::string config;                     // the only file to be read
  std::vector<std::string> config_check;  // files to be checked
};

Result<std::vector<std::string>> config_files(const Options& options) {
  return options.config.empty() ? default_config_files() : std::vector{options.config};
}

// The configuration, if memiod can do what it says.
Result<Config> load_own_config(const Options& options) {
  const auto files = config_files(options);
  if (!files) return fail(files.error());
  auto config = load_config(*files);
  if (!config) return config;
  if (auto checked = KnownUsers::of_this_process().check(config->policy); !checked)
    return fail(std::move(checked.error()));
  return config;
}

// What is wrong in a file is said with its place first, as compilers do.
std::string text_of(const Error& error) { return error.code == Errc::invalid_parameter ? error.message : error.text(); }

// Says what is wrong with the configuration, if anything; an exit code.
int check_config(const Options& options) {
  auto files = options.config_check;
  std::erase(files, "");  // what CLI11 makes of the option without files
  if (files.empty()) {
    auto found = config_files(options);
    if (!found) {
      std::cerr << text_of(found.error()) << '\n';
      return EXIT_FAILURE;
    }
    files = std::move(*found);
  }
  bool good = true;
  for (const auto& file : files) {
    const auto config = load_config({file});
    good = good && config;
    if (config)
      std::cout << file << ": good\n";
    else
      std::cerr << text_of(config.error()) << '\n';
  }
  if (files.empty()) std::cout << "there are no configuration files\n";
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

// A descriptor or three a region: take all that we may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A list of thousands of regions is megabytes, which glibc would give back to the system, and ask for anew, several
// times while it is made. The broker gives them back some time after (Broker::give_back_memory).
void keep_memory_for_a_while() {
  constexpr int most = 32 << 20;  // glibc allows no more for the first
  ::mallopt(M_MMAP_THRESHOLD, most);
  ::mallopt(M_TRIM_THRESHOLD, most);
}

Result<std::string> own_path(const Options& options) {
  if (options.socket.empty()) return default_socket_path();
  return options.socket;
}

// The memiod that is to be taken over, if any is.
Result<std::optional<Predecessor>> ask_predecessor(const Options& options) {
  if (!options.take_over) return std::nullopt;
  const auto path = own_path(options);
  if (!path) return fail(path.error());
  auto asked = Predecessor::ask(*path);
  if (!asked) return fail(std::move(asked.error()));
  return std::move(*asked);
}

// Listens at the sockets that were passed, or at one of our own. Returns the path of that, to be removed at the end.
Result<std::string> open_sockets(Broker& broker, std::vector<UniqueFd> passed, const Options& options, mode_t mode) {
  for (auto& socket : passed)
    if (auto listening = broker.listen(std::move(socket)); !listening) return fail(std::move(listening.error()));
  if (!passed.empty() && !options.take_over) return std::string();  // systemd removes its own
  auto path = own_path(options);
  if (!path || options.take_over) return path;
  auto socket = listen_at(*path, options.socket.empty(), mode);
  if (!socket) return fail(std::move(socket.error()));
  if (auto listening = broker.listen(std::move(*socket)); !listening) return fail(std::move(listening.error()));
  log_info("listening at {}", *path);
  return path;
}

// Reads anew what can be, and tells systemd of the beginning and the end of it.
void reload(Broker& broker, Notifier& notifier, const Options& options) {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  const auto now = std::uint64_t(time.tv_sec) * 1'000'000 + std::uint64_t(time.tv_nsec) / 1000;
  notifier.tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now));
  broker.configure(load_own_config(options));
  notifier.tell("READY=1");
}

Result<std::vector<EventSource>> handle_signals(EventLoop& loop, Broker& broker, Notifier& notifier,
                                                const Options& options) {
  const std::pair<int, EventSource::OnTime> handlers[] = {{SIGTERM, [&loop] { loop.exit(EXIT_SUCCESS); }},
                                                          {SIGINT, [&loop] { loop.exit(EXIT_SUCCESS); }},
                                                          {SIGHUP, [&] { reload(broker, notifier, options); }}};
  std::vector<EventSource> sources;
  for (const auto& [number, handler] : handlers) {
    auto source = loop.add_signal(number, handler);
    if (!source) return fail(std::move(source.error()));
    sources.push_back(std::move(*source));
  }
  return sources;
}

Result<int> serve(const Options& options) {
  raise_descriptor_limit();
  keep_memory_for_a_while();
  auto loop = EventLoop::make();
  if (!loop) return fail(std::move(loop.error()));
  // First of all: a mistake in it must not cost the memiod that is to be taken over.
  auto config = load_own_config(options);
  if (!config) return fail(std::move(config.error()));
  const auto socket_mode = config->socket_mode;
  auto predecessor = ask_predecessor(options);
  if (!predecessor) return fail(std::move(predecessor.error()));
  auto passed = *predecessor ? Result<PassedFds>((*predecessor)->take_fds()) : take_passed_fds();
  if (!passed) return fail(std::move(passed.error()));
  Notifier notifier(*loop);
  Store store(*loop, notifier);
  auto kept = store.open(*passed, !options.take_over);
  if (!kept) return fail(std::move(kept.error()));
  auto made = Broker::make(*loop, std::move(*config), notifier, store);
  if (!made) return fail(std::move(made.error()));
  Broker& broker = **made;
  if (auto restored = broker.restore(std::move(*kept)); !restored) return fail(std::move(restored.error()));
  const auto signals = handle_signals(*loop, broker, notifier, options);
  if (!signals) return fail(signals.error());
  const bool activated = !passed->sockets.empty() && !options.take_over;
  auto path = open_sockets(broker, std::move(passed->sockets), options, socket_mode);
  if (!path) return fail(std::move(path.error()));
  if (activated && options.exit_idle_time > 0) {
    auto idle = broker.on_idle(std::chrono::seconds(options.exit_idle_time), [&loop] {
      log_info("nothing is owned any more: ending until somebody connects");
      loop->exit(idle_status);
    });
    if (!idle) return fail(std::move(idle.error()));
  }
  // As late as can be: from here on nobody else has it any more.
  if (*predecessor)
    if (auto ended = (*predecessor)->commit(); !ended) return fail(std::move(ended.error()));
  broker.begin();
  notifier.tell("READY=1\nSTATUS=" + broker.status());
  auto code = loop->run();
  notifier.tell("STOPPING=1\nSTATUS=Stopping");
  if (!path->empty() && !broker.handed_over()) ::unlink(path->c_str());
  return code;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("memiod: the broker of shared memory between native programs and web views");
  app.add_option("--socket", options.socket,
                 "Listen at this path instead of $MEMIO_SOCKET or $XDG_RUNTIME_DIR/memio/io.memio")
      ->type_name("PATH");
  app.add_option("--log-level", options.log_level, "error, warning, info or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}));
  app.add_option("--exit-idle-time", options.exit_idle_time,
                 "Started by systemd's socket activation: end after so long without a region or a connection; 0: never")
      ->type_name("SECONDS")
      ->check(CLI::Range(0U, 86'400U))
      ->capture_default_str();
  app.add_flag("--takeover", options.take_over,
               "Take everything over from the memiod that listens there, which then ends");
  app.add_option("--config", options.config, "Read this configuration file, and no other")->type_name("FILE");
  auto* check = app.add_option("--check-config", options.config_check,
                               "Say what is wrong with these configuration files, or with those that would be read, "
                               "and exit")
                    ->expected(0, -1)
                    ->type_name("FILE");
  app.set_version_flag("--version", "memiod " + std::string(project_version));
  CLI11_PARSE(app, argc, argv);
  if (check->count() > 0) return check_config(options);
  set_up_log(spdlog::level::from_str(options.log_level));
  auto code = serve(options);
  if (code) return *code;
  log_error("{}", text_of(code.error()));
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace memio::broker

int main(int argc, char** argv) {
  try {
    return memio::broker::run(argc, argv);
  } catch (const std::exception& error) {
    memio::broker::log_error("giving up: {}", error.what());
    return EXIT_FAILURE;
  }
}

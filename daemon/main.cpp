// SPDX-License-Identifier: MIT
// Reads the command line and wires the parts together.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "broker.h"
#include "config.h"
#include "listen.h"
#include "log.h"
#include "memio/socket_path.h"
#include "notify.h"
#include "version.h"

namespace memio::broker {
namespace {

struct Options {
  std::string socket;
  std::string log_level = "info";
  std::string config;                     // the only file to be read
  std::vector<std::string> config_check;  // files to be checked
};

std::vector<std::string> config_files(const Options& options) {
  return options.config.empty() ? default_config_files() : std::vector{options.config};
}

// Says what is wrong with the configuration, if anything; an exit code.
int check_config(const Options& options) {
  auto files = options.config_check;
  std::erase(files, "");  // what CLI11 makes of the option without files
  if (files.empty()) files = config_files(options);
  bool good = true;
  for (const auto& file : files) {
    const auto config = load_config({file});
    good = good && config;
    if (config)
      std::cout << file << ": good\n";
    else
      std::cerr << config.error().message << '\n';
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

// Listens at the sockets that systemd opened for us; how many there were.
Result<int> listen_at_activated(Broker& broker) {
  const int count = ::sd_listen_fds(1);
  if (count < 0) return fail_errno(-count, "taking over sockets from systemd");
  for (int i = 0; i < count; ++i) {
    UniqueFd socket(SD_LISTEN_FDS_START + i);
    if (::sd_is_socket_unix(socket.get(), SOCK_STREAM, 1, nullptr, 0) <= 0)
      return fail(Errc::system, "systemd passed a descriptor that is no listening Unix stream socket");
    ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    if (auto listening = broker.listen(std::move(socket)); !listening) return fail(std::move(listening.error()));
  }
  return count;
}

// Opens the sockets. Returns the path of the one that we made ourselves, to be removed at the end.
Result<std::string> open_sockets(Broker& broker, const Options& options, mode_t mode) {
  auto activated = listen_at_activated(broker);
  if (!activated) return fail(std::move(activated.error()));
  if (*activated > 0) return std::string();
  Result<std::string> path = options.socket;
  if (options.socket.empty()) path = default_socket_path();
  if (!path) return path;
  auto socket = listen_at(*path, options.socket.empty(), mode);
  if (!socket) return fail(std::move(socket.error()));
  if (auto listening = broker.listen(std::move(*socket)); !listening) return fail(std::move(listening.error()));
  log_info("listening at {}", *path);
  return path;
}

Result<int> serve(const Options& options) {
  raise_descriptor_limit();
  auto loop = EventLoop::make();
  if (!loop) return fail(std::move(loop.error()));
  std::vector<EventSource> signals;
  for (const int number : {SIGTERM, SIGINT}) {
    auto source = loop->add_signal(number, [&loop] { loop->exit(EXIT_SUCCESS); });
    if (!source) return fail(std::move(source.error()));
    signals.push_back(std::move(*source));
  }
  auto config = load_config(config_files(options));
  if (!config) return fail(std::move(config.error()));
  const auto socket_mode = config->socket_mode;
  auto broker = Broker::make(*loop, std::move(*config));
  if (!broker) return fail(std::move(broker.error()));
  auto path = open_sockets(**broker, options, socket_mode);
  if (!path) return fail(std::move(path.error()));
  // Waits until it is told: a manager that missed it would wait for it for ever.
  ::sd_notify(0, "READY=1\nSTATUS=0 regions, 0 connections");
  auto code = loop->run();
  notify_without_waiting("STOPPING=1\nSTATUS=Stopping");
  if (!path->empty()) ::unlink(path->c_str());
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
  log_error("{}", code.error().code == Errc::invalid_parameter ? code.error().message : code.error().text());
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

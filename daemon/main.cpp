// SPDX-License-Identifier: MIT
// Reads the command line and wires the parts together.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>

#include "broker.h"
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
};

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
Result<std::string> open_sockets(Broker& broker, const Options& options) {
  auto activated = listen_at_activated(broker);
  if (!activated) return fail(std::move(activated.error()));
  if (*activated > 0) return std::string();
  Result<std::string> path = options.socket;
  if (options.socket.empty()) path = default_socket_path();
  if (!path) return path;
  auto socket = listen_at(*path, options.socket.empty());
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
  Broker broker(*loop, Limits{});
  auto path = open_sockets(broker, options);
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
  app.set_version_flag("--version", "memiod " + std::string(project_version));
  CLI11_PARSE(app, argc, argv);
  set_up_log(spdlog::level::from_str(options.log_level));
  auto code = serve(options);
  if (code) return *code;
  log_error("{}", code.error().text());
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

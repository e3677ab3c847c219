// SPDX-License-Identifier: MIT
// memio-demo-producer: the native side of the demo. It publishes this machine's telemetry and a film's frames, hashes
// what a page uploads, and answers a page's requests for 100 MiB.
#include <gst/gst.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdio>

#include "event_loop.h"
#include "frames.h"
#include "memio/client.h"
#include "roads.h"
#include "telemetry.h"
#include "uploads.h"

namespace memio::demo {
namespace {

enum Tokens : std::uint64_t { upload_watch = 1, roads_request };

int complain(const Error& error) {
  std::fprintf(stderr, "memio-demo-producer: %s\n", error.text().c_str());
  return 1;
}

Result<Telemetry> create_telemetry(Client& client) {
  auto region = client.create(Telemetry::region_name, RegionOptions{.capacity = sizeof(TelemetryRecord)});
  if (!region) return fail(region.error());
  region->set_write_timeout(std::chrono::milliseconds(0));
  return Telemetry::create(std::move(*region));
}

// SIGTERM and SIGINT, as something to read.
Result<UniqueFd> take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) < 0) return fail_errno(errno, "blocking signals");
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno(errno, "creating a signalfd");
  return fd;
}

void dispatch(Client& client, EventLoop& loop, Uploads& uploads, Roads& roads) {
  std::array<Event, 16> events;
  const std::size_t count = client.dispatch(events);
  for (const Event& event : std::span(events).first(count)) {
    if (event.kind == Event::Kind::disconnected) {
      // The pages would go on reading what is mapped; but a demo without a broker has nothing left to show.
      std::fprintf(stderr, "memio-demo-producer: memiod is gone\n");
      loop.stop();
    } else if (event.token.value == upload_watch) {
      uploads.on_watch();
    } else if (event.token.value == roads_request) {
      roads.on_request();
    }
  }
}

// Order of destruction: what uses the loop and the client goes before them.
Result<void> run(const std::string& file) {
  const auto signals = take_signals();  // before GStreamer has threads, which inherit the mask
  if (!signals) return fail(signals.error());
  gst_init(nullptr, nullptr);

  auto loop = EventLoop::create();
  if (!loop) return fail(loop.error());
  auto client = Client::connect();
  if (!client) return fail(client.error());
  auto telemetry = create_telemetry(*client);
  if (!telemetry) return fail(telemetry.error());
  const auto uploads = Uploads::create(*client, *loop, Token{upload_watch});
  if (!uploads) return fail(uploads.error());
  const auto roads = Roads::create(*client, *loop, Token{roads_request});
  if (!roads) return fail(roads.error());

  Result<void> outcome;
  const auto shown = [&](const Result<void>& result) {
    if (!result) {
      outcome = result;
      loop->stop();
      return;
    }
    // Every region is there now: whoever started us may start those who open them.
    std::puts("ready");
    std::fflush(stdout);
  };
  const auto frames = Frames::create(*client, *loop, file, shown);
  if (!frames) return fail(frames.error());

  const auto timer = make_interval_timer(Telemetry::interval_ns);
  if (!timer) return fail(timer.error());
  const auto publish_telemetry = [&] {
    drain(timer->get());
    if (auto published = telemetry->publish(); !published && published.error().code != Errc::busy) {
      outcome = published;
      loop->stop();
    }
  };
  const auto dispatch_client = [&] { dispatch(*client, *loop, **uploads, **roads); };
  if (auto watched = loop->watch(timer->get(), publish_telemetry); !watched) return watched;
  if (auto watched = loop->watch(client->get_fd(), dispatch_client); !watched) return watched;
  if (auto watched = loop->watch(signals->get(), [&] { loop->stop(); }); !watched) return watched;
  if (auto ran = loop->run(); !ran) return ran;
  return outcome;
}

}  // namespace
}  // namespace memio::demo

int main(int argc, char** argv) try {
  CLI::App app{"The native side of memiod's demo: publishes telemetry and frames, hashes uploads."};
  std::string file;
  app.add_option("FILE", file, "A film or a picture to show")->required()->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  const auto outcome = memio::demo::run(file);
  return outcome ? 0 : memio::demo::complain(outcome.error());
} catch (const std::exception& error) {
  std::fprintf(stderr, "memio-demo-producer: giving up: %s\n", error.what());
  return 1;
}

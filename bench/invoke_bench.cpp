// SPDX-License-Identifier: MIT
//
// What it costs to have another program do something: a small command goes from one process through memiod to another,
// and its answer back. All processes on one CPU, as in call_bench.
//
//   invoke_rtt/memio  Client::call(), which CommandHandler::wait() in another process takes and answers
//   invoke_rtt/dbus   a method call by sd-bus to a service in another process, through a dbus-daemon of our own, with a
//                     text of the same length each way
//   emit/memio        a message from one process to a listener in another and one back, for comparison
//
// Real time, for the work is in other processes.

#include "daemon.h"
#include "dbus_peer.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr const char* question = "camera/0/frame";
const std::string answer = std::string(60, 'x');

constexpr const char* no_rate_limits = R"({"limits": {
  "user": {"messagesPerSecond": 1000000000}, "connection": {"messagesPerSecond": 1000000000},
  "scoped": {"messagesPerSecond": 1000000000}}})";

std::string quoted(const std::string& text) { return '"' + text + '"'; }

constexpr std::chrono::milliseconds for_ever{-1};

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  pin_to_cpu(0);  // what is started from here on as well

  const Daemon daemon(no_rate_limits);
  const test::Turnstile ready;
  const auto handling = Process::fork([&] {
    auto client = daemon.connect();
    auto handler = must(client.handle("bench"));
    ready.pass();
    const auto json = quoted(answer);
    for (;;) must(must(handler.wait(for_ever)).answer(json));
    return 0;
  });
  const auto listening = Process::fork([&] {
    auto client = daemon.connect();
    auto listener = must(client.listen("there"));
    ready.pass();
    for (;;) client.emit_async("back", must(listener.wait(for_ever)).payload);
    return 0;
  });
  ready.wait();
  ready.wait();
  auto client = daemon.connect();
  auto listener = must(client.listen("back"));
  DbusPeer dbus(question, answer);

  const auto json = quoted(question);
  add("invoke_rtt/memio", [&](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(must(client.call("bench", json)));
  })->UseRealTime();
  add("invoke_rtt/dbus", [&](benchmark::State& state) {
    for (auto _ : state) dbus.call();
  })->UseRealTime();
  add("emit/memio", [&](benchmark::State& state) {
    for (auto _ : state) {
      client.emit_async("there", json);
      benchmark::DoNotOptimize(must(listener.wait(for_ever)));
    }
  })->UseRealTime();
  return run(argc, argv);
}

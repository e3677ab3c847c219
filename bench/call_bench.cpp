// SPDX-License-Identifier: MIT
//
// What a call costs: to ask, to be answered, to have read the answer. All processes on one CPU, because waking another
// CPU costs more than all else and hides what is compared.
//
//   call_rtt/memio  Client::stat() of a region
//   call_rtt/dbus   a method call by sd-bus to a service of our own, through a dbus-daemon of our own: a name goes
//                   there, a text as long as Stat's answer comes back
//   call_rtt/raw    a socketpair and a process that parses each call and writes the answer as Stat does, by the same
//                   JSON library; the caller writes and parses as a client does. Nothing is looked up and nothing
//                   checked
//
// A list of 10,000 regions, or of as many as the limit of descriptors (ulimit -Hn) allows, which root may raise:
//
//   list/memio      the call and all bytes of the answer, by a bare socket, which does not parse them
//   list/serialise  making that answer's text of its values, in this process
//
// A thousand regions, made and removed:
//
//   create/first    in a memiod that has no others
//   create/last     in one that has 9,000 others, or as many as may be
//
// Real time, for the work is in another process.

#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "dbus_peer.h"
#include "memio/message.h"
#include "memio/protocol_json.h"
#include "must.h"
#include "run.h"
#include "support/crowd.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr const char* region_name = "camera/0/frame";

constexpr std::uint64_t wanted_regions = 10'000;

// Whatever is asked and however often: what is measured is the cost of a call, not how memiod slows a flood down.
constexpr const char* no_rate_limits = R"({"limits": {
  "user": {"messagesPerSecond": 1000000000}, "connection": {"messagesPerSecond": 1000000000}}})";

// Reads a message; without its NUL.
void read_message(int fd, std::string& message) {
  message.clear();
  char buffer[65536];
  do {
    const auto n = must(::read(fd, buffer, sizeof buffer), "reading");
    if (n == 0) std::_Exit(0);
    message.append(buffer, static_cast<std::size_t>(n));
  } while (message.back() != '\0');
  message.pop_back();
}
void write_message(int fd, const std::string& message) {
  const auto n = must(::write(fd, message.c_str(), message.size() + 1), "writing");
  if (static_cast<std::size_t>(n) != message.size() + 1) die("a message was written in part");
}

class RawPeer {
 public:
  explicit RawPeer(const Json& answer) {
    int ends[2];
    must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "making a socketpair");
    socket_ = UniqueFd(ends[0]);
    UniqueFd other(ends[1]);
    const int fd = other.get();
    process_.emplace(Process::fork([fd, &answer] {
      std::string message;
      for (;;) {
        read_message(fd, message);
        const auto call = Json::parse(message);
        benchmark::DoNotOptimize(call.at("parameters").at("name"));
        write_message(fd, Json{{"parameters", answer}}.dump());
      }
      return 0;
    }));
  }
  void call() {
    write_message(socket_.get(), Json{{"method", "io.memio.Stat"}, {"parameters", {{"name", region_name}}}}.dump());
    read_message(socket_.get(), message_);
    benchmark::DoNotOptimize(Json::parse(message_));
  }

 private:
  UniqueFd socket_;
  std::string message_;
  std::optional<Process> process_;
};

void make_regions(Client& client, const std::string& prefix, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i)
    must(client.create(prefix + std::to_string(i), {.capacity = 64, .lifetime = Lifetime::persistent}));
}

void create_and_remove(benchmark::State& state, Client& client) {
  constexpr int count = 1000;
  for (auto _ : state) {
    make_regions(client, "new", count);
    state.PauseTiming();
    for (int i = 0; i < count; ++i) must(client.remove("new" + std::to_string(i)));
    state.ResumeTiming();
  }
}

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  pin_to_cpu(0);  // what is started from here on as well
  const auto many_regions = test::room_for_regions(wanted_regions, 2);
  const auto say_how_many = [many_regions](benchmark::State& state) {
    if (many_regions < wanted_regions)
      state.SetLabel("with " + std::to_string(many_regions) +
                     " regions, because the limit of descriptors may not be raised");
  };

  const Daemon daemon(no_rate_limits);
  auto client = daemon.connect();
  const auto region = must(client.create(region_name, {.capacity = 921'600}));
  const auto answer = protocol::to_json(must(client.stat(region_name)));
  RawPeer raw(answer);
  DbusPeer dbus(region_name, answer.dump());

  const Daemon full(no_rate_limits);
  auto others = full.connect();
  make_regions(others, "other", many_regions - 1'000);
  const Daemon list_of(no_rate_limits);
  auto owner = list_of.connect();
  make_regions(owner, "region", many_regions);
  protocol::ListReply listed;
  for (const auto& each : must(owner.list())) listed.regions.push_back(each);
  test::RawConnection lister(list_of.socket_path());

  add("call_rtt/memio", [&](benchmark::State& state) {
    for (auto _ : state) must(client.stat(region_name));
  })->UseRealTime();
  add("call_rtt/raw", [&](benchmark::State& state) {
    for (auto _ : state) raw.call();
  })->UseRealTime();
  add("call_rtt/dbus", [&](benchmark::State& state) {
    for (auto _ : state) dbus.call();
  })->UseRealTime();
  add("list/memio",
      [&](benchmark::State& state) {
        std::string text;
        for (auto _ : state) {
          write_message(lister.fd(), R"({"method":"io.memio.List"})");
          read_message(lister.fd(), text);
          if (text.size() < 100'000) die("that is no list of many regions: " + text.substr(0, 200));
        }
        say_how_many(state);
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  add("list/serialise",
      [&](benchmark::State& state) {
        for (auto _ : state) benchmark::DoNotOptimize(encode(WrittenReply{.parameters = protocol::to_text(listed)}));
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  add("create/first", [&](benchmark::State& state) { create_and_remove(state, client); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  add("create/last",
      [&](benchmark::State& state) {
        create_and_remove(state, others);
        say_how_many(state);
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  return run(argc, argv);
}

// SPDX-License-Identifier: MIT
//
// How long clients are without memiod when it is killed: from SIGKILL to the answer of the first Open, under a real
// systemd.
//
//   recover/1000   a memiod that has 1,000 persistent regions, which no client has open
//   recover/1      one with a single region: what systemd and the start of a program in a sandbox take
//
// Both are services of one manager, with memiod's own units. Real time; each repetition kills once.

#include <benchmark/benchmark.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "memio/client.h"
#include "must.h"
#include "support/process.h"

namespace {

using namespace memio;
using namespace memio::bench;
using memio::test::Process;

std::string systemctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"systemctl", "--user"});
  auto process = Process::run(arguments, {}, true);
  auto text = process.read_all();
  if (process.wait() != 0) die("systemctl failed");
  return text;
}

// memiod's units under another name, for another socket.
class Service {
 public:
  Service(std::string name, int regions) : name_(std::move(name)) {
    const std::string folder = std::string(::getenv("HOME")) + "/.config/systemd/user/";
    for (const char* unit : {".socket", ".service"}) {
      std::stringstream text;
      text << std::ifstream(folder + "memiod" + unit).rdbuf();
      auto changed = std::regex_replace(text.str(), std::regex("memiod\\.(socket|service)"), name_ + ".$1");
      changed = std::regex_replace(changed, std::regex("%t/memio/"), "%t/" + name_ + "/");
      std::ofstream(folder + name_ + unit) << changed;
    }
    systemctl({"daemon-reload"});
    systemctl({"start", name_ + ".socket"});
    path_ = std::string(::getenv("XDG_RUNTIME_DIR")) + "/" + name_ + "/io.memio";
    auto client = must(Client::connect(path_));
    for (int i = 0; i < regions; ++i)
      must(client.create("r" + std::to_string(i), {.capacity = 4096, .lifetime = Lifetime::persistent}));
    const auto stored = std::to_string(3 * regions + 1) + "\n";
    while (property("NFileDescriptorStore") != stored) {
    }
  }

  void kill_and_open(benchmark::State& state) const {
    for (auto _ : state) {
      const auto pid = std::stoi(property("MainPID"));
      const auto begin = std::chrono::steady_clock::now();
      must(::kill(pid, SIGKILL), "killing memiod");
      auto client = must(Client::connect(path_));
      auto region = client.open("r0", Access::read);
      // A connection that the dying one had taken is lost.
      while (!region) {
        client = must(Client::connect(path_));
        region = client.open("r0", Access::read);
      }
      const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - begin;
      state.SetIterationTime(gone.count());
    }
  }

 private:
  [[nodiscard]] std::string property(const std::string& name) const {
    return systemctl({"show", "--property", name, "--value", name_ + ".service"});
  }
  std::string name_;
  std::string path_;
};

}  // namespace

int main(int argc, char** argv) {
  const Service many("many", 1000);
  const Service one("one", 1);
  for (const auto& [name, service] : {std::pair{"recover/1000", &many}, {"recover/1", &one}})
    benchmark::RegisterBenchmark(name, [service = service](benchmark::State& state) { service->kill_and_open(state); })
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

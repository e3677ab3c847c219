// SPDX-License-Identifier: MIT
// However memiod ends, the next one has its regions as they were, and their users do not notice.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <iostream>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "service.h"
#include "support/bytes.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

using Service = ServiceTest;
using Clock = std::chrono::steady_clock;

constexpr std::array lifetimes = {Lifetime::session, Lifetime::linger, Lifetime::persistent};

// What must not change with a restart, by name.
using Facts = std::map<std::string, std::tuple<std::uint64_t, Lifetime, std::uint32_t, std::uint64_t>>;
Facts facts_of(Client& client) {
  Facts facts;
  const auto regions = client.list();
  for (const auto& region : regions.value())
    facts[region.name] = {region.generation, region.lifetime, region.slots, region.capacity};
  return facts;
}

constexpr int publishers = 50;
constexpr int regions_each = 20;

// Shared by the processes of a test.
struct Progress {
  std::atomic<bool> stop;
  std::atomic<int> phase;
  struct One {
    std::atomic<std::uint64_t> rounds;
    std::array<std::atomic<std::int64_t>, 3> longest_gap;  // of each phase, in microseconds
  };
  std::array<One, publishers> of;
};

std::string name_of(int publisher, int region) {
  return "publisher/" + std::to_string(publisher) + "/" + std::to_string(region);
}

// A client that publishes to its regions, then lets the next one do so, until it is told to stop; and then finds them
// as it left them. They take turns, because fifty at once are a load that memiod does not come up beside. If one has to
// wait for memiod, all do.
int publish(Client client, int number, Progress& progress, const Turnstile& ready,
            const std::vector<Turnstile>& turns) {
  std::vector<Region> regions;
  for (int i = 0; i < regions_each; ++i) {
    auto region = client.create(
        name_of(number, i), {.capacity = 64, .lifetime = lifetimes.at(static_cast<std::size_t>(i) % lifetimes.size())});
    if (!region || !region->write(bytes(name_of(number, i)), 0)) return 1;
    regions.push_back(std::move(*region));
  }
  ready.pass();
  const auto& mine = turns.at(static_cast<std::size_t>(number));
  const auto& next = turns.at(static_cast<std::size_t>(number + 1) % turns.size());
  auto& own = progress.of.at(static_cast<std::size_t>(number));
  std::array<Event, 4> events;
  std::uint64_t round = 0;
  for (auto last = Clock::now(); !progress.stop; ++round) {
    mine.wait();
    for (auto& region : regions)
      if (!region.write(bytes(region.info().name), round)) return 2;
    client.dispatch(events);  // claims its regions when memiod is back, which keeps them five seconds for it
    const auto gap = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - last).count();
    auto& longest = own.longest_gap.at(static_cast<std::size_t>(progress.phase.load()));
    if (gap > longest) longest = gap;
    own.rounds = round;
    last = Clock::now();
    next.pass();
  }
  next.pass();  // who waits for a turn is to see that it is over
  for (const auto& region : regions) {
    const auto state = client.stat(region.info().name);
    if (!state || state->version != round - 1 || state->region.handles != 1) return 3;
    if (state->region.generation != region.info().generation) return 4;
  }
  return 0;
}

std::chrono::microseconds longest_gap(const Progress& progress, int phase) {
  std::int64_t longest = 0;
  for (const auto& one : progress.of)
    longest = std::max(longest, one.longest_gap.at(static_cast<std::size_t>(phase)).load());
  return std::chrono::microseconds(longest);
}

// That each of them publishes so many rounds more.
::testing::AssertionResult all_publish(const Progress& progress, std::uint64_t rounds) {
  std::vector<std::uint64_t> enough;
  for (const auto& one : progress.of) enough.push_back(one.rounds + rounds);
  const auto limit = Clock::now() + std::chrono::seconds(60);
  for (std::size_t i = 0; i < enough.size(); ++i)
    while (progress.of.at(i).rounds < enough[i])
      if (Clock::now() > limit) return ::testing::AssertionFailure() << "publisher " << i << " does not go on";
  return ::testing::AssertionSuccess();
}

// Keeps the next memiod from starting until it is opened.
class Gate {
 public:
  explicit Gate(std::string path) : path_(std::move(path)) {}
  // For the unit.
  [[nodiscard]] std::string drop_in() const {
    return "[Service]\nExecStartPre=/bin/sh -c 'test ! -p " + path_ + " || read line <" + path_ + " || true'\n";
  }
  void close() const { ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0); }
  // As soon as somebody stands before it.
  void open() const {
    const UniqueFd end(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(end.valid());
    ASSERT_EQ(::unlink(path_.c_str()), 0);
  }

 private:
  std::string path_;
};

TEST_F(Service, AThousandRegionsComeBackWhilePublishersGoOn) {
  const Gate gate(home() + "/gate");
  start(gate.drop_in());
  void* shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto& progress = *new (shared) Progress();
  const Turnstile ready;
  const std::vector<Turnstile> turns(publishers);
  std::vector<Process> children;
  for (int i = 0; i < publishers; ++i)
    children.push_back(Process::fork([&] { return publish(connect(), i, progress, ready, turns); }));
  for (int i = 0; i < publishers; ++i) ready.wait();
  turns[0].pass();
  ASSERT_TRUE(stores(publishers * regions_each));
  auto client = connect();
  const auto before = facts_of(client);
  ASSERT_EQ(before.size(), static_cast<std::size_t>(publishers * regions_each));

  // A memiod that does nothing, and then none, is nothing that publishers wait for. Each publishes often during both,
  // and pauses for no more than a fraction of them.
  constexpr std::uint64_t often = 250;
  constexpr int fraction = 4;
  const auto old = main_pid();
  ASSERT_EQ(::kill(old, SIGSTOP), 0);
  const auto stopped = Clock::now();
  progress.phase = 1;
  EXPECT_TRUE(all_publish(progress, often));
  EXPECT_LT(longest_gap(progress, 1), (Clock::now() - stopped) / fraction);
  gate.close();
  const auto killed = Clock::now();
  ASSERT_EQ(::kill(old, SIGKILL), 0);
  progress.phase = 2;
  EXPECT_TRUE(all_publish(progress, often));
  const auto held = Clock::now();
  gate.open();
  auto newcomer = connect();
  auto first = newcomer.open(name_of(0, 0), Access::read);
  const auto back = Clock::now();
  EXPECT_LT(longest_gap(progress, 2), (back - killed) / fraction);
  ASSERT_TRUE(first) << first.error().text();
  { const auto closed = std::move(*first); }

  EXPECT_EQ(facts_of(newcomer), before);
  for (const auto& [name, facts] : before) {
    auto region = newcomer.open(name, Access::read);
    ASSERT_TRUE(region) << region.error().text();
    EXPECT_EQ(text(region->read()->data()), name);
  }
  EXPECT_TRUE(all_publish(progress, 10));
  ASSERT_TRUE(newcomer.list()) << "memiod has heard of all that was closed";
  progress.stop = true;
  for (auto& child : children) EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(property("NRestarts"), "1");
  const auto ms = [](auto time) { return std::chrono::duration<double, std::milli>(time).count(); };
  std::cout << "from when memiod may start again to the first answered Open: " << ms(back - held)
            << " ms, after it had been gone for " << ms(held - killed)
            << " ms; the longest gap between publishes: " << ms(longest_gap(progress, 0)) << " ms before, "
            << ms(longest_gap(progress, 1)) << " ms with a stopped memiod, " << ms(longest_gap(progress, 2))
            << " ms with none\n";
  ::munmap(shared, sizeof(Progress));
}

class Three {
 public:
  explicit Three(Client& client) {
    for (const auto lifetime : lifetimes) {
      auto region = client.create("region" + std::to_string(regions_.size()), {.capacity = 64, .lifetime = lifetime});
      EXPECT_TRUE(region->write(bytes("kept"), 41));
      regions_.push_back(std::move(*region));
    }
  }
  void expect_kept(Client client) const {
    for (const auto& region : regions_) {
      const auto state = client.stat(region.info().name);
      ASSERT_TRUE(state) << state.error().text();
      EXPECT_EQ(state->region.generation, region.info().generation);
      EXPECT_EQ(state->region.lifetime, region.info().lifetime);
      EXPECT_EQ(state->version, 41U);
      EXPECT_EQ(text(client.open(region.info().name, Access::read)->read()->data()), "kept");
    }
  }
  [[nodiscard]] std::uint64_t last_generation() const { return regions_.back().info().generation; }

 private:
  std::vector<Region> regions_;
};

std::string version_of_memiod(const std::string& path) {
  const auto reply = RawConnection(path).ask(R"({"method":"org.varlink.service.GetInfo"})");
  return reply.value().parameters["version"];
}

TEST_F(Service, AllComesBackAfterARestartAndAnUpgrade) {
  start();
  auto client = connect();
  const Three three(client);
  ASSERT_TRUE(stores(3));
  systemctl({"restart", "memiod.service"});
  three.expect_kept(connect());

  start("[Service]\nExecStart=\nExecStart=" + home() + "/memiod-next\n");
  systemctl({"restart", "memiod.service"});
  EXPECT_EQ(version_of_memiod(socket_path()), "99.0.0");
  three.expect_kept(connect());
  ASSERT_TRUE(client.list());
  EXPECT_EQ(client.stat("region0")->region.handles, 1U) << "its creator has it again";
  auto next = client.create("next", {.capacity = 64});
  EXPECT_GT(next->info().generation, three.last_generation());
}

TEST_F(Service, AStuckMemiodIsReplaced) {
  start("[Service]\nWatchdogSec=1\n");
  auto client = connect();
  const Three three(client);
  ASSERT_TRUE(stores(3));
  // It is well for longer than its watchdog waits.
  const auto well_past = Clock::now() + std::chrono::milliseconds(2500);
  while (Clock::now() < well_past) ASSERT_EQ(property("NRestarts"), "0");
  ASSERT_EQ(::kill(main_pid(), SIGSTOP), 0);
  ASSERT_TRUE(becomes("NRestarts", "1"));
  three.expect_kept(connect());
}

TEST_F(Service, LifetimesGoOnForOwnersThatDiedMeanwhile) {
  start();
  auto client = connect();
  {
    auto closed = client.create("closed", {.capacity = 64, .lifetime = Lifetime::linger});
    ASSERT_TRUE(closed);
  }
  const Turnstile created;
  auto owner = Process::fork([&] {
    auto owning = connect();
    const Three three(owning);
    const auto lease = owning.open("region2", Access::read)->read();
    created.pass();
    ::pause();
    return lease ? 0 : 1;
  });
  created.wait();
  auto survivor = client.open("region0", Access::read);
  ASSERT_TRUE(survivor);
  auto silent = client.create("silent", {.capacity = 64});
  ASSERT_TRUE(silent->write(bytes("leased")));
  auto lease = client.open("silent", Access::read)->read();
  ASSERT_TRUE(stores(5));
  const auto old = main_pid();
  ASSERT_EQ(::kill(old, SIGSTOP), 0);  // so that it does not hear of its client's death
  owner.signal(SIGKILL);
  owner.wait();
  ASSERT_EQ(::kill(old, SIGKILL), 0);

  auto newcomer = connect();
  auto watcher = newcomer.watch("**", false);
  std::vector<std::string> removed;
  std::size_t present = 0;
  while (removed.size() < 3) {
    const auto event = watcher->wait(std::chrono::seconds(30));
    ASSERT_TRUE(event) << event.error().text();
    if (event->kind == EventKind::present) ++present;
    if (event->kind == EventKind::removed) removed.push_back(event->region->name);
  }
  EXPECT_EQ(present, 5U) << "all are there at first, for whoever claims them";
  EXPECT_EQ(removed.back(), "region1") << "a lingering one that was open goes last: its clock started last";
  auto kept = newcomer.open("region2", Access::write);
  ASSERT_TRUE(kept);
  EXPECT_EQ(text(kept->read()->data()), "kept");
  const auto state = newcomer.stat("region2");
  ASSERT_EQ(state->handle_states.size(), 1U) << "the dead owner's handles are closed";
  EXPECT_EQ(text(survivor->read()->data()), "kept") << "removal takes nothing from those who have it open";

  // This process has not said a word to the new memiod in all that time: its region, its cells and its lease are as ever.
  auto other = newcomer.open("silent", Access::write);
  ASSERT_TRUE(other) << other.error().text();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(other->write(bytes("others"))) << i;
    EXPECT_EQ(text(other->read()->data()), "others");
  }
  EXPECT_EQ(text(lease->data()), "leased");
  ASSERT_TRUE(silent->write(bytes("mine")));
  ASSERT_TRUE(client.list());
  EXPECT_EQ(newcomer.stat("silent")->region.handles, 3U);
}

TEST_F(Service, ASignalToEndIsNoEndOfItsRegions) {
  start();
  ASSERT_TRUE(connect().create("kept", {.capacity = 64, .lifetime = Lifetime::persistent})->write(bytes("kept"), 41));
  ASSERT_TRUE(stores(1));
  kill_and_wait(SIGTERM);
  auto client = connect();
  auto kept = client.open("kept", Access::read);
  ASSERT_TRUE(kept) << kept.error().text();
  EXPECT_EQ(text(kept->read()->data()), "kept");
}

// It starts anew, with what was published while memiod was away; and nobody has to show the region for that.
TEST_F(Service, WatchesGoOn) {
  start();
  auto publisher = connect();
  auto region = publisher.create("a", {.capacity = 64, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(region->write(bytes("before"), 1));
  auto client = connect();
  auto watcher = client.watch("**", true);
  const auto next = [&] {
    auto event = watcher->wait(std::chrono::seconds(30));
    if (!event) throw std::runtime_error(event.error().text());
    return std::move(*event);
  };
  ASSERT_EQ(next().kind, EventKind::present);
  ASSERT_EQ(next().kind, EventKind::ready);
  for (std::uint64_t version = 2; version < 6; version += 2) {
    ASSERT_TRUE(stores(1));
    ASSERT_EQ(::kill(main_pid(), SIGKILL), 0);
    ASSERT_TRUE(region->write(bytes("away"), version));
    // The old one may have told of it yet.
    auto event = next();
    if (event.kind == EventKind::version) event = next();
    ASSERT_EQ(event.kind, EventKind::present);
    EXPECT_EQ(event.region->name, "a");
    EXPECT_EQ(event.region->generation, region->info().generation);
    EXPECT_EQ(event.region->sequence, version);
    ASSERT_EQ(next().kind, EventKind::ready);
    ASSERT_TRUE(region->write(bytes("after"), version + 1));
    event = next();
    ASSERT_EQ(event.kind, EventKind::version);
    EXPECT_EQ(event.version, version + 1);
  }
}

TEST_F(Service, WhatIsRemovedStaysRemoved) {
  start();
  auto client = connect();
  auto created = client.create("a", {.capacity = 64, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(created) << created.error().text();
  auto region = std::make_optional(std::move(*created));
  ASSERT_TRUE(region->write(bytes("kept")));
  ASSERT_TRUE(stores(1));
  ASSERT_TRUE(client.remove("a"));
  kill_and_wait();
  EXPECT_TRUE(client.list()) << "the client shows its region again";
  EXPECT_EQ(connect().stat("a").error().code, Errc::no_such_region);
  EXPECT_EQ(text(region->read()->data()), "kept");
  auto successor = client.create("a", {.capacity = 64});
  ASSERT_TRUE(successor) << successor.error().text();
  EXPECT_GT(successor->info().generation, region->info().generation);
  region.reset();
  EXPECT_TRUE(client.list());
  EXPECT_TRUE(stores(1)) << "what nobody has open any more is not kept";
}

TEST_F(Service, DescriptorsAndLedgerAreMadeToAgree) {
  // Room for the ledger, one region and a part of another.
  start("[Service]\nFileDescriptorStoreMax=6\n");
  auto client = connect();
  auto first = client.create("first", {.capacity = 64, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(becomes("NFileDescriptorStore", "4"));
  auto second = client.create("second", {.capacity = 64, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(becomes("NFileDescriptorStore", "6"));
  kill_and_wait();
  EXPECT_TRUE(becomes([] { return !logged("second does not come back").empty(); }));
  EXPECT_TRUE(becomes("NFileDescriptorStore", "4")) << "what was left over is dropped";
  auto newcomer = connect();
  EXPECT_TRUE(newcomer.open("first", Access::read));
  ASSERT_TRUE(client.list()) << "the client shows what it has";
  EXPECT_TRUE(newcomer.open("second", Access::read));
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
//
// Programs do random things, right and wrong, and end at random; memiod is killed and started again at random; and all
// the time everybody must see exactly what a model says. At the end nothing of it is left.
//
// $MEMIO_CHAOS_SECONDS says for how long (30), $MEMIO_CHAOS_SEED repeats what another run did, $MEMIO_CHAOS_TRACE tells
// all.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

#include "actor.h"
#include "memio/client.h"
#include "model.h"
#include "support/charges.h"
#include "support/manager.h"
#include "support/process_use.h"

namespace memio::test {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono_literals::operator""s;

constexpr std::size_t most_actors = 8;
constexpr std::size_t most_names = 24;
constexpr std::size_t most_handles = 100;
constexpr std::size_t most_commands = 5;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::stoull(value) : otherwise;
}

class Chaos : public testing::Test {
 protected:
  Chaos() { std::cout << "MEMIO_CHAOS_SEED=" << seed_ << std::endl; }

  // One random thing.
  void step();
  // Everybody sees what the model says, as soon as all that is under way is over.
  void check_all();
  // Commands of whom has gone are free, and commands of whom lives can be called.
  void wait_for_commands();
  // All that memiod and its manager hold is that they held at first.
  void check_nothing_is_left(const ProcessUse& before);
  void end_all();

  std::size_t steps_ = 0;
  std::size_t restarts_ = 0;
  std::size_t deaths_ = 0;
  Manager manager_;
  Client own_ = Client::connect(manager_.socket_path()).value();
  Model model_;
  std::map<Model::ActorId, Actor> actors_;

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class Range>
  const auto& any_of(const Range& range) {
    return *std::next(range.begin(), static_cast<std::ptrdiff_t>(below(range.size())));
  }
  std::string a_command() { return "c" + std::to_string(below(most_commands)); }
  std::string a_name() { return "r" + std::to_string(below(most_names)); }

  // An actor that is not stopped.
  std::optional<Model::ActorId> an_actor();
  // A handle of one.
  std::optional<Model::HandleId> a_handle(const std::function<bool(const Model::Handle&)>& wanted = {});
  Json ask(Model::ActorId actor, const Json& command) {
    Json answer = actors_.at(actor).ask(command);
    trace("actor " + std::to_string(actor) + ": " + command.dump() + " -> " + answer.dump());
    return answer;
  }
  void trace(const std::string& line) {
    if (tracing_) std::cout << steps_ << " " << line << std::endl;
  }
  Json ask_with(Model::HandleId handle, Json command) {
    command["handle"] = handle;
    return ask(model_.handles().at(handle).actor, command);
  }

  // What may happen.
  void add_actor();
  void end_actor();
  void stop_or_go_on();
  void create();
  void open();
  void close();
  void remove();
  void write();
  void read();
  void lease_or_release();
  void begin();
  void watch();
  void handle_or_not();
  void call();
  void listen();
  void emit();
  void noise();
  void restart_memiod();
  // What needs no memiod.
  void use_memory();

  // Everybody who listens hears.
  void wait_for_listeners();
  // Whether everybody who listens, and is not stopped, has heard the message of that number.
  bool all_heard(std::uint64_t number);

  void expect(const Json& answer, const std::string& error, const std::string& what);
  std::string differences();
  std::string differences_of(Model::ActorId id);

  std::uint64_t seed_ = from_environment("MEMIO_CHAOS_SEED", 1);
  std::mt19937_64 random_{seed_};
  std::uint64_t last_id_ = 0;
  std::uint64_t last_number_ = 0;
  std::set<Model::ActorId> watching_;
  bool tracing_ = std::getenv("MEMIO_CHAOS_TRACE");
};

std::optional<Model::ActorId> Chaos::an_actor() {
  std::vector<Model::ActorId> going;
  for (const auto& [id, actor] : actors_)
    if (!actor.stopped()) going.push_back(id);
  if (going.empty()) return std::nullopt;
  return any_of(going);
}

std::optional<Model::HandleId> Chaos::a_handle(const std::function<bool(const Model::Handle&)>& wanted) {
  std::vector<Model::HandleId> found;
  for (const auto& [id, handle] : model_.handles())
    if (!actors_.at(handle.actor).stopped() && (!wanted || wanted(handle))) found.push_back(id);
  if (found.empty()) return std::nullopt;
  return any_of(found);
}

// An empty `error`: it must have gone well.
void Chaos::expect(const Json& answer, const std::string& error, const std::string& what) {
  const std::string found = answer.value("error", "");
  ASSERT_EQ(found, error.empty() ? "" : "io.memio." + error) << what << " in step " << steps_;
}

void Chaos::add_actor() {
  if (actors_.size() >= most_actors) return;
  actors_.try_emplace(++last_id_, manager_.socket_path());
}

void Chaos::end_actor() {
  if (actors_.size() < 2) return;
  const auto id = any_of(actors_).first;
  Actor& actor = actors_.at(id);
  if (actor.stopped() || one_in(2))
    actor.kill();
  else
    actor.leave();
  trace("actor " + std::to_string(id) + " ends");
  actors_.erase(id);
  watching_.erase(id);
  model_.ended(id);
  ++deaths_;
  wait_for_commands();
  if (!HasFatalFailure()) check_all();
}

void Chaos::stop_or_go_on() {
  auto& [id, actor] = *std::next(actors_.begin(), static_cast<std::ptrdiff_t>(below(actors_.size())));
  if (actor.stopped())
    actor.go_on();
  else
    actor.stop();
}

void Chaos::create() {
  const auto actor = an_actor();
  if (!actor || model_.handles().size() >= most_handles) return;
  const auto id = ++last_id_;
  const std::vector<unsigned> all_slots = {1, 4, 4, 4, 8, 64};
  Model::Region region{.name = one_in(10) ? "../wrong" : a_name(),
                       .lifetime = static_cast<Lifetime>(below(3)),
                       .capacity = one_in(10) ? 0 : 1 + below(one_in(10) ? 1 << 20 : 5000),
                       .slots = one_in(20) ? 65 : any_of(all_slots),
                       .exclusive = one_in(5)};
  const Json answer = ask(*actor, {{"do", "create"},
                                   {"name", region.name},
                                   {"capacity", region.capacity},
                                   {"slots", region.slots},
                                   {"lifetime", static_cast<int>(region.lifetime)},
                                   {"exclusive", region.exclusive},
                                   {"handle", id}});
  const auto there = model_.find(region.name);
  const std::string what = "creating " + region.name;
  if (region.name == "../wrong") return expect(answer, "InvalidName", what);
  if (there && (!there->fading || answer.value("error", "") == "io.memio.RegionExists"))
    return expect(answer, "RegionExists", what);
  if (there) model_.removed(region.name);
  if (region.slots > 64) return expect(answer, "InvalidSlots", what);
  if (region.capacity == 0) return expect(answer, "InvalidCapacity", what);
  expect(answer, "", what);
  if (HasFatalFailure()) return;
  region.generation = answer.at("generation");
  model_.created(*actor, id, std::move(region));
}

void Chaos::open() {
  const auto actor = an_actor();
  if (!actor || model_.handles().size() >= most_handles) return;
  const auto id = ++last_id_;
  const bool to_write = one_in(2);
  const auto name = a_name();
  const Json answer = ask(*actor, {{"do", "open"}, {"name", name}, {"write", to_write}, {"handle", id}});
  const auto region = model_.find(name);
  if (!region) return expect(answer, "NoSuchRegion", "opening " + name);
  if (region->fading && answer.value("error", "") == "io.memio.NoSuchRegion") return model_.removed(name);
  if (to_write && region->exclusive) return expect(answer, "PermissionDenied", "opening " + name);
  expect(answer, "", "opening " + name);
  if (HasFatalFailure()) return;
  ASSERT_EQ(answer.at("generation"), region->generation);
  ASSERT_EQ(answer.at("sequence"), region->sequence);
  model_.opened(*actor, id, region, to_write);
}

void Chaos::close() {
  const auto handle = a_handle();
  if (!handle) return;
  expect(ask_with(*handle, {{"do", "close"}}), "", "closing");
  model_.closed(*handle);
}

void Chaos::remove() {
  const auto actor = an_actor();
  if (!actor) return;
  const auto name = a_name();
  const Json answer = ask(*actor, {{"do", "remove"}, {"name", name}});
  const auto region = model_.find(name);
  if (!region) return expect(answer, "NoSuchRegion", "removing " + name);
  if (!region->fading) expect(answer, "", "removing " + name);
  model_.removed(name);
}

void Chaos::write() {
  const auto handle = a_handle([&](const auto& each) { return !each.region->begun; });
  if (!handle) return;
  const auto& [actor, region, may_write] = model_.handles().at(*handle);
  const auto seed = random_();
  const bool too_long = one_in(20);
  const Json answer = ask_with(*handle, {{"do", "write"}, {"seed", seed}, {"too_long", too_long}});
  if (!may_write) return expect(answer, "client.ReadOnly", "writing " + region->name);
  if (too_long) return expect(answer, "client.PayloadTooLarge", "writing " + region->name);
  expect(answer, "", "writing " + region->name);
  if (HasFatalFailure()) return;
  ASSERT_EQ(answer.at("sequence"), region->sequence + 1);
  model_.written(*handle, seed);
}

void Chaos::read() {
  const auto handle = a_handle([](const auto& each) { return each.region->slots > 1 || !each.region->begun; });
  if (!handle) return;
  const auto& region = *model_.handles().at(*handle).region;
  const Json answer = ask_with(*handle, {{"do", "read"}});
  if (region.half_written) return expect(answer, "client.Busy", "reading half a publish of " + region.name);
  ASSERT_EQ(answer, Json({{"sequence", region.sequence}, {"version", region.version}, {"whole", true}}))
      << region.name << " in step " << steps_;
}

void Chaos::lease_or_release() {
  if (!model_.leases().empty() && one_in(2)) {
    const auto [id, lease] = any_of(model_.leases());
    const auto actor = model_.handles().at(lease.handle).actor;
    if (actors_.at(actor).stopped()) return;
    ask(actor, {{"do", "release"}, {"lease", id}});
    return model_.released(id);
  }
  const auto handle = a_handle([](const auto& each) { return each.region->slots > 2 && !each.region->lease; });
  if (!handle) return;
  const auto id = ++last_id_;
  expect(ask_with(*handle, {{"do", "read"}, {"lease", id}}), "", "leasing");
  model_.leased(id, *handle);
}

// Half a write, and perhaps the other half.
void Chaos::begin() {
  const auto handle = a_handle([](const auto& each) { return each.write && !each.region->begun; });
  if (!handle) return;
  expect(ask_with(*handle, {{"do", "begin"}, {"seed", random_()}}), "", "beginning to write");
  if (HasFatalFailure()) return;
  const auto& [actor, region, may_write] = model_.handles().at(*handle);
  region->begun = *handle;
  if (one_in(3)) return end_actor();
  const auto seed = random_();
  expect(ask_with(*handle, {{"do", "commit"}, {"seed", seed}, {"too_long", false}}), "", "committing");
  model_.written(*handle, seed);
}

void Chaos::watch() {
  const auto actor = an_actor();
  if (!actor || !watching_.insert(*actor).second) return;
  ask(*actor, {{"do", "watch"}});
}

void Chaos::handle_or_not() {
  const auto actor = an_actor();
  if (!actor) return;
  const auto name = a_command();
  const auto found = model_.commands().find(name);
  if (found != model_.commands().end() && found->second == *actor) {
    ask(*actor, {{"do", "unhandle"}, {"name", name}});
    model_.handles_no_longer(name);
    return wait_for_commands();
  }
  const Json answer = ask(*actor, {{"do", "handle"}, {"name", name}});
  if (found != model_.commands().end()) return expect(answer, "CommandExists", "handling " + name);
  expect(answer, "", "handling " + name);
  model_.handles(*actor, name);
}

void Chaos::call() {
  const auto actor = an_actor();
  if (!actor) return;
  const auto name = a_command();
  const auto found = model_.commands().find(name);
  const bool there = found != model_.commands().end();
  // Who waits for his own answer does not give it.
  const bool answers = there && found->second != *actor && !actors_.at(found->second).stopped();
  const auto number = below(1000);
  const Json answer =
      ask(*actor, {{"do", "call"}, {"name", name}, {"arguments", number}, {"timeout", answers ? 10'000 : 5}});
  if (!there) return expect(answer, "NoSuchCommand", "calling " + name);
  if (!answers) return expect(answer, "CallTimedOut", "calling " + name);
  expect(answer, number % 2 == 0 ? "" : "CommandFailed", "calling " + name);
  if (HasFatalFailure()) return;
  ASSERT_EQ(answer.at(number % 2 == 0 ? "result" : "details"), number) << name;
}

void Chaos::wait_for_commands() {
  const auto deadline = Clock::now() + 20s;
  for (std::size_t i = 0; i < most_commands; ++i) {
    const auto name = "c" + std::to_string(i);
    const auto found = model_.commands().find(name);
    const bool there = found != model_.commands().end();
    if (there && actors_.at(found->second).stopped()) continue;
    for (;;) {
      const auto answer = own_.call(name, "0", {.timeout = 10s});
      if (answer.has_value() == there) break;
      ASSERT_LT(Clock::now(), deadline) << name << (answer ? " is handled" : ": " + answer.error().text());
      manager_.pump();
    }
  }
}

void Chaos::listen() {
  const auto actor = an_actor();
  if (!actor || model_.heard().contains(*actor)) return;
  ask(*actor, {{"do", "listen"}});
  model_.listens(*actor);
}

void Chaos::emit() {
  const auto actor = an_actor();
  if (!actor) return;
  const std::uint64_t times = one_in(20) ? 400 : 1 + below(3);
  expect(ask(*actor, {{"do", "emit"}, {"times", times}}), "", "emitting");
  model_.emitted(times);
}

bool Chaos::all_heard(std::uint64_t number) {
  return std::ranges::all_of(model_.heard(), [&](const auto& each) {
    return actors_.at(each.first).stopped() || actors_.at(each.first).ask({{"do", "view"}}).at("last_number") == number;
  });
}

void Chaos::wait_for_listeners() {
  constexpr int looks = 50;
  const auto deadline = Clock::now() + 20s;
  for (;;) {
    ASSERT_LT(Clock::now(), deadline) << "somebody who listens hears nothing";
    ASSERT_TRUE(own_.emit("t/number", std::to_string(++last_number_)));
    for (int i = 0; i < looks; ++i)
      if (all_heard(last_number_)) return model_.count_anew();
  }
}

void Chaos::noise() {
  if (const auto actor = an_actor()) ask(*actor, {{"do", "noise"}, {"seed", random_()}});
}

void Chaos::use_memory() {
  switch (below(3)) {
    case 0: return write();
    case 1: return read();
    default: return lease_or_release();
  }
}

void Chaos::restart_memiod() {
  // Who sleeps over it for seconds loses his handles.
  for (auto& [id, actor] : actors_)
    if (actor.stopped()) actor.go_on();
  trace("memiod ends");
  if (one_in(4))
    ASSERT_EQ(manager_.stop(), 0);
  else
    manager_.kill();
  for (auto n = below(20); n > 0 && !HasFatalFailure(); --n) use_memory();
  manager_.start();
  model_.restarted();
  ++restarts_;
  trace("memiod is there again");
  wait_for_commands();
  if (!HasFatalFailure()) wait_for_listeners();
  if (!HasFatalFailure()) check_all();
}

void Chaos::step() {
  ++steps_;
  manager_.pump();
  const auto dice = below(1000);
  if (actors_.empty() || dice < 20) return add_actor();
  if (dice < 30) return end_actor();
  if (dice < 45) return stop_or_go_on();
  if (dice < 52) return restart_memiod();
  if (dice < 70) return noise();
  if (dice < 80) return watch();
  if (dice < 90) return listen();
  if (dice < 140) return create();
  if (dice < 230) return open();
  if (dice < 300) return close();
  if (dice < 320) return remove();
  if (dice < 340) return begin();
  if (dice < 360) return check_all();
  if (dice < 400) return handle_or_not();
  if (dice < 480) return call();
  if (dice < 530) return emit();
  use_memory();
}

std::string Chaos::differences_of(Model::ActorId id) {
  const Json view = actors_.at(id).ask({{"do", "view"}});
  Json told = Json::object();
  for (const auto handle : model_.handles_of(id))
    if (const auto sequence = model_.handles().at(handle).region->sequence; sequence > 0)
      told[std::to_string(handle)] = sequence;
  std::string text;
  if (view.at("told") != told) text += "it was told " + view.at("told").dump() + ", not " + told.dump() + "\n";
  if (const auto found = model_.heard().find(id); found != model_.heard().end() && view.at("heard") != found->second)
    text += "it has heard " + view.at("heard").dump() + " messages, not " + std::to_string(found->second) + "\n";
  if (!watching_.contains(id)) return text;
  std::set<std::string> names;
  for (const auto& [name, region] : model_.names()) names.insert(name);
  if (view.at("watched") != Json(names))
    text += "it sees " + view.at("watched").dump() + ", not " + Json(names).dump() + "\n";
  return text;
}

std::string Chaos::differences() {
  const auto listed = own_.list();
  if (!listed) return listed.error().text() + "\n";
  std::string text = model_.compare(*listed);
  for (const auto& [id, actor] : actors_)
    if (!actor.stopped())
      if (const auto found = differences_of(id); !found.empty()) text += "actor " + std::to_string(id) + ": " + found;
  return text;
}

void Chaos::check_all() {
  const auto deadline = Clock::now() + 20s;
  std::string text = differences();
  while (!text.empty() && Clock::now() < deadline) {
    manager_.pump();
    text = differences();
  }
  ASSERT_EQ(text, "") << "after step " << steps_;
}

void Chaos::end_all() {
  while (actors_.size() > 1 && !HasFatalFailure()) end_actor();
  if (HasFatalFailure()) return;
  for (auto& [id, actor] : actors_) {
    if (actor.stopped()) actor.go_on();
    actor.leave();
    model_.ended(id);
  }
  actors_.clear();
  for (const auto& [name, region] : std::map(model_.names())) {
    const auto removed = own_.remove(name);
    EXPECT_TRUE(removed || region->fading) << name;
    model_.removed(name);
  }
  check_all();
}

void Chaos::check_nothing_is_left(const ProcessUse& before) {
  // One for calls to memiod, one for what commands and messages bring.
  const Charges of_our_own = {{"sessions", 2}, {"user_connections", 2}};
  const auto left = [&] {
    EXPECT_TRUE(own_.list()) << "so that memiod has had its turn";
    manager_.pump();
    return manager_.stored() != 1 || use_of(manager_.pid()).descriptors != before.descriptors ||
           charges_by(own_) != of_our_own;
  };
  for (const auto deadline = Clock::now() + 20s; left() && Clock::now() < deadline;) {
  }
  EXPECT_EQ(manager_.stored(), 1) << "nothing but the ledger";
  EXPECT_EQ(charges_by(own_), of_our_own) << "no regions nor bytes of them, no handles, watches or unread answers";
  const ProcessUse after = use_of(manager_.pid());
  EXPECT_EQ(after.descriptors, before.descriptors);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep what was freed
  // What the allocator keeps for the next time.
  EXPECT_LT(after.resident, before.resident + (std::uint64_t{2} << 20));
#endif
}

TEST_F(Chaos, EverybodySeesWhatTheModelSays) {
  check_all();  // so that our own connections have been taken
  wait_for_commands();
  const ProcessUse before = use_of(manager_.pid());
  const auto end = Clock::now() + std::chrono::seconds(from_environment("MEMIO_CHAOS_SECONDS", 30));
  while (Clock::now() < end && !HasFatalFailure()) step();
  if (!HasFatalFailure()) end_all();
  if (HasFatalFailure()) return;
  std::cout << steps_ << " steps, " << deaths_ << " deaths of programs, " << restarts_ << " of memiod" << std::endl;
  check_nothing_is_left(before);
  EXPECT_EQ(manager_.stop(), 0);
}

}  // namespace

}  // namespace memio::test

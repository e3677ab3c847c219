// SPDX-License-Identifier: MIT
// What one session makes memiod do keeps another waiting for a bounded number of calls, bytes and events. They are
// counted, not timed: memiod is stopped, everybody sends, and the answer to the call that was sent last tells how much
// of the others' was done before it.

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>

#include "support/bytes.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

// Of one turn, and how many turns there can be of one session before another's: one that was under way, and its next.
constexpr std::uint64_t most_calls = 16;
constexpr std::uint64_t most_turns = 2;

constexpr std::string_view call_of_others = R"({"method":"io.memio.List"})";
constexpr std::string_view list_sessions = R"({"method":"io.memio.ListSessions"})";
constexpr std::string_view watch_none = R"({"method":"io.memio.Watch","more":true,"parameters":{"pattern":"none"}})";
constexpr std::string_view metrics = R"({"method":"io.memio.Metrics"})";

class Fairness : public DaemonTest {
 protected:
  RawConnection bystander_{daemon_.socket_path()};

  // A connection that memiod has taken.
  [[nodiscard]] RawConnection connect() const {
    RawConnection made(daemon_.socket_path());
    EXPECT_EQ(made.ask(std::string(call_of_others))->error, "");
    return made;
  }
  void create_regions(std::uint64_t count) const {
    auto client = daemon_.connect();
    for (std::uint64_t i = 0; i < count; ++i)
      ASSERT_TRUE(client.create("region" + std::to_string(i), {.capacity = 1, .lifetime = Lifetime::persistent}));
  }
  // A connection with so many watches, all of which look at each region.
  [[nodiscard]] RawConnection watch_nothing(std::uint64_t watches) const {
    auto watcher = connect();
    for (std::uint64_t i = 0; i < watches; ++i)
      EXPECT_EQ(watcher.ask(std::string(watch_none))->parameters.at("event"), "ready");
    return watcher;
  }
  // What the bystander is answered when it asks after `others` have done what they do, and memiod finds all of it at
  // once.
  Reply ask_after(const std::function<void()>& others, std::string_view call) {
    EXPECT_EQ(::kill(daemon_.pid(), SIGSTOP), 0);
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(daemon_.pid()), &info, WSTOPPED), 0);
    others();
    EXPECT_TRUE(bystander_.send(std::string(call) + '\0'));
    EXPECT_EQ(::kill(daemon_.pid(), SIGCONT), 0);
    return bystander_.receive().value();
  }

  static std::string repeat(std::string_view call, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all.append(call).push_back('\0');
    return all;
  }
  // How many calls each session had made, all but the last one's that asks, by their order.
  static std::vector<std::uint64_t> messages(const Reply& reply) {
    std::vector<std::uint64_t> counts;
    for (const auto& session : reply.parameters.at("sessions")) counts.push_back(session.at("messages"));
    return counts;
  }
  static std::uint64_t value(const Reply& reply, std::string_view name) {
    for (const auto& family : reply.parameters.at("families"))
      if (family.at("name") == name) return family.at("samples").at(0).at("value");
    throw std::runtime_error("no such metric");
  }
};

TEST_F(Fairness, AFloodOfCallsDelaysAnothersByATurn) {
  auto flooder = connect();
  constexpr int flood = 1500;
  const auto reply = ask_after([&] { ASSERT_TRUE(flooder.send(repeat(call_of_others, flood))); }, list_sessions);
  const auto counts = messages(reply);
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_LE(counts[1], 1 + most_calls * most_turns);
  for (int i = 0; i < flood; ++i) ASSERT_EQ(flooder.receive()->error, "") << "nothing is lost";
}

TEST_F(Fairness, SoDoManyThatFlood) {
  constexpr int many = 100;
  std::vector<RawConnection> flooders;
  for (int i = 0; i < many; ++i) flooders.push_back(connect());
  const auto flood = [&] {
    for (auto& flooder : flooders) ASSERT_TRUE(flooder.send(repeat(call_of_others, 500)));
  };
  const auto counts = messages(ask_after(flood, list_sessions));
  ASSERT_EQ(counts.size(), many + 1U);
  EXPECT_LE(*std::max_element(counts.begin() + 1, counts.end()), 1 + most_calls * most_turns);
}

// Few calls with long answers are as much as many with short ones.
TEST_F(Fairness, AnswersAreCountedByTheirLength) {
  create_regions(500);  // a list of them has more than 100 KiB
  auto flooder = connect();
  constexpr int flood = 20;
  const auto reply = ask_after([&] { ASSERT_TRUE(flooder.send(repeat(call_of_others, flood))); }, list_sessions);
  EXPECT_LE(messages(reply).back(), 1 + most_turns);
  for (int i = 0; i < flood; ++i) ASSERT_EQ(flooder.receive()->error, "");
}

// A publish that thousands watch is a thousand turns, among which others have theirs; and however many publishes there
// were, each watch is told once.
TEST_F(Fairness, AHotRegionWithManyWatchers) {
  constexpr std::uint64_t watchers = 1000;
  constexpr std::uint64_t watches_each = 4;
  auto client = daemon_.connect();
  auto region = client.create("hot", {.capacity = 64});
  ASSERT_TRUE(region);
  std::vector<RawConnection> watches;
  for (std::uint64_t i = 0; i < watchers; ++i) {
    watches.emplace_back(daemon_.socket_path());
    for (std::uint64_t each = 0; each < watches_each; ++each) {
      ASSERT_TRUE(watches.back().send(
          std::string(R"({"method":"io.memio.Watch","more":true,"parameters":{"versions":true}})") + '\0'));
      for (const auto* event : {"present", "ready"}) ASSERT_EQ(watches.back().receive()->parameters.at("event"), event);
    }
  }
  const auto before = value(*bystander_.ask(metrics), "memio_events");
  constexpr std::uint64_t publishes = 500;
  const auto publish = [&] {
    for (std::uint64_t i = 0; i < publishes; ++i) ASSERT_TRUE(region->write(bytes("x")));
  };
  constexpr std::uint64_t most_of_a_round = 128 * watches_each;
  EXPECT_LE(value(ask_after(publish, metrics), "memio_events") - before, most_of_a_round);
  for (auto& watch : watches)
    for (std::uint64_t each = 0; each < watches_each; ++each) {
      const auto event = watch.receive();
      ASSERT_TRUE(event);
      EXPECT_EQ(event->parameters.at("event"), "version");
      EXPECT_EQ(event->parameters.at("region").at("sequence"), publishes);
    }
  EXPECT_EQ(value(*bystander_.ask(metrics), "memio_events") - before, watchers * watches_each);
}

// A watch of many regions tells what there is in pieces.
TEST_F(Fairness, AWatchOfManyRegions) {
  constexpr std::uint64_t regions = 600;
  create_regions(regions);
  auto watcher = connect();
  const auto watch = [&] {
    ASSERT_TRUE(watcher.send(std::string(R"({"method":"io.memio.Watch","more":true})") + '\0'));
  };
  constexpr std::uint64_t most_events = 64;
  EXPECT_LE(value(ask_after(watch, metrics), "memio_events"), most_events * most_turns);
  for (std::uint64_t i = 0; i < regions; ++i) ASSERT_EQ(watcher.receive()->parameters.at("event"), "present");
  EXPECT_EQ(watcher.receive()->parameters.at("event"), "ready");
}

// Nor is beginning to watch a small thing, nor a region's coming where many watch.
TEST_F(Fairness, AFloodOfWatchesCountsTheRegionsThatTheyLookAt) {
  constexpr std::uint64_t regions = 640;
  create_regions(regions);
  auto flooder = connect();
  constexpr int flood = 100;
  const auto send_flood = [&] { ASSERT_TRUE(flooder.send(repeat(watch_none, flood))); };
  constexpr std::uint64_t calls_a_watch = 1 + regions / 64;
  EXPECT_LE(messages(ask_after(send_flood, list_sessions)).back(), 1 + most_turns * (most_calls / calls_a_watch + 1));
  for (int i = 0; i < flood; ++i) ASSERT_EQ(flooder.receive()->parameters.at("event"), "ready");
}

TEST_F(Fairness, AFloodOfStatsCountsTheHandlesThatTheyLookAt) {
  constexpr std::uint64_t handles = 640;
  create_regions(1);
  auto opener = connect();
  for (std::uint64_t i = 0; i < handles; ++i)
    ASSERT_EQ(opener.ask(R"({"method":"io.memio.Open","parameters":{"name":"region0","access":"read"}})")->error, "");
  auto client = daemon_.connect();
  ASSERT_TRUE(client.create("unopened", {.capacity = 1, .lifetime = Lifetime::persistent}));
  auto flooder = connect();
  constexpr int flood = 100;
  constexpr std::string_view stat = R"({"method":"io.memio.Stat","parameters":{"name":"unopened"}})";
  const auto send_flood = [&] { ASSERT_TRUE(flooder.send(repeat(stat, flood))); };
  constexpr std::uint64_t calls_a_stat = 1 + handles / 64;
  EXPECT_LE(messages(ask_after(send_flood, list_sessions)).back(), 1 + most_turns * (most_calls / calls_a_stat + 1));
  for (int i = 0; i < flood; ++i) ASSERT_EQ(flooder.receive()->error, "");
}

TEST_F(Fairness, AFloodOfRegionsCountsTheWatchesThatLookAtThem) {
  constexpr std::uint64_t watches = 640;
  const auto watcher = watch_nothing(watches);
  auto flooder = connect();
  constexpr int flood = 100;
  const auto send_flood = [&] {
    for (int i = 0; i < flood; ++i)
      ASSERT_TRUE(flooder.send(R"({"method":"io.memio.Create","parameters":{"capacity":1,"name":"r)" +
                               std::to_string(i) + "\"}}" + '\0'));
  };
  constexpr std::uint64_t calls_a_create = 1 + watches / 64;
  EXPECT_LE(messages(ask_after(send_flood, list_sessions)).back(), 1 + most_turns * (most_calls / calls_a_create + 1));
  for (int i = 0; i < flood; ++i) ASSERT_EQ(flooder.receive()->error, "") << "nothing is lost";
}

// What a session leaves behind goes in pieces where many watch, but goes.
TEST_F(Fairness, ManyRegionsOfASessionThatEndsWhereManyWatch) {
  constexpr std::uint64_t watches = 2'000;
  constexpr std::uint64_t regions = 60;
  const auto watcher = watch_nothing(watches);
  auto hearing = connect();
  ASSERT_EQ(hearing.ask(R"({"method":"io.memio.Watch","more":true})")->parameters.at("event"), "ready");
  auto owner = std::make_unique<Client>(daemon_.connect());
  std::vector<Region> created;
  for (std::uint64_t i = 0; i < regions; ++i) {
    created.push_back(std::move(*owner->create("r" + std::to_string(i), {.capacity = 1})));
    ASSERT_EQ(hearing.receive()->parameters.at("event"), "created");
  }
  const auto left = value(ask_after(
                              [&] {
                                created.clear();
                                owner.reset();
                              },
                              metrics),
                          "memio_regions");
  EXPECT_GT(left, regions / 2) << "not all in one turn";
  for (std::uint64_t i = 0; i < regions; ++i) ASSERT_EQ(hearing.receive()->parameters.at("event"), "removed");
  EXPECT_EQ(value(*bystander_.ask(metrics), "memio_regions"), 0U);
}

// A message to many listeners is more work than other calls, and counts as more of them.
TEST_F(Fairness, AFloodOfMessagesToManyDelaysAnothersByATurn) {
  constexpr std::uint64_t listeners = 160;
  std::vector<RawConnection> listening;
  for (std::uint64_t i = 0; i < listeners; ++i) {
    listening.emplace_back(daemon_.socket_path());
    ASSERT_EQ(listening.back()
                  .ask(R"({"method":"io.memio.Receive","more":true,"parameters":{"listen":["t"]}})")
                  ->parameters.at("kind"),
              "ready");
  }
  auto flooder = connect();
  constexpr std::string_view emit = R"({"method":"io.memio.Emit","parameters":{"topic":"t"}})";
  constexpr int flood = 500;
  const auto send_flood = [&] { ASSERT_TRUE(flooder.send(repeat(emit, flood))); };
  constexpr std::uint64_t calls_an_emit = 1 + listeners / 16;
  EXPECT_LE(value(ask_after(send_flood, metrics), "memio_emits"), most_turns * (most_calls / calls_an_emit + 1));
  for (int i = 0; i < flood; ++i) ASSERT_EQ(flooder.receive()->error, "") << "nothing is lost";
}

TEST_F(Fairness, AFloodOfCommandsDelaysAnothersByATurn) {
  RawConnection handler(daemon_.socket_path());
  ASSERT_EQ(handler.ask(R"({"method":"io.memio.Receive","more":true,"parameters":{"handle":["c"]}})")->error, "");
  auto flooder = connect();
  ASSERT_EQ(flooder.ask(R"({"method":"io.memio.Receive","more":true})")->error, "");
  constexpr int flood = 1000;
  const auto send_flood = [&] {
    ASSERT_TRUE(
        flooder.send(repeat(R"({"method":"io.memio.Invoke","oneway":true,"parameters":{"name":"c","id":1}})", flood)));
  };
  EXPECT_LE(value(ask_after(send_flood, metrics), "memio_calls"), most_turns * most_calls);
  for (int i = 0; i < flood; ++i) ASSERT_EQ(handler.receive()->parameters.at("kind"), "call") << "nothing is lost";
}

}  // namespace
}  // namespace memio::test

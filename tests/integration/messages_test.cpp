// SPDX-License-Identifier: MIT
// Messages between real programs: who gets which, and what becomes of those for whom they come too fast.

#include <gmock/gmock.h>
#include <signal.h>

#include "support/bytes.h"
#include "support/mail.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

using testing::HasSubstr;

class Messages : public MailTest {
 protected:
  Client client_ = daemon_.connect();
};

TEST_F(Messages, GoToAllWhoListenInOrder) {
  auto other = daemon_.connect();
  auto one = other.listen("a/*", {1});
  auto all = other.listen("**", {2});
  auto own = client_.listen("a/x");
  ASSERT_TRUE(one && all && own);
  ASSERT_TRUE(client_.emit("a/x", R"({"n":[1,-2.5]})"));
  ASSERT_TRUE(client_.emit("b"));
  ASSERT_TRUE(client_.emit("a/x", "2"));
  for (const auto* payload : {R"({"n":[1,-2.5]})", "2"}) {
    const auto message = one->wait(long_enough);
    ASSERT_TRUE(message) << message.error().text();
    EXPECT_EQ(message->topic, "a/x");
    EXPECT_EQ(message->payload, payload);
    EXPECT_EQ(message->lost, 0U);
    EXPECT_EQ(own->wait(long_enough)->payload, payload) << "the emitter listens, too";
  }
  EXPECT_EQ(all->wait(long_enough)->topic, "a/x");
  EXPECT_EQ(all->wait(long_enough)->topic, "b");
  EXPECT_EQ(all->wait(long_enough)->payload, "2");
  EXPECT_FALSE(*one->next());
  EXPECT_EQ(one->wait(std::chrono::milliseconds(0)).error().code, Errc::timed_out);
}

TEST_F(Messages, DispatchTellsOfThem) {
  auto other = daemon_.connect();
  auto listener = other.listen("a", {5});
  auto deaf = other.listen("b", {6});
  client_.emit_async("a", "1");
  std::optional<bool> taken;
  client_.emit_async("a", "2", [&](const Result<void>& result) { taken = result.has_value(); });
  dispatch_until(client_, [&] { return taken.has_value(); });
  EXPECT_TRUE(*taken);
  std::array<Event, 8> events;
  ASSERT_EQ(*other.wait(events, long_enough), 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::message_arrived);
  EXPECT_EQ(events[0].token, Token{5});
  EXPECT_EQ((*listener->next())->payload, "1");
  EXPECT_EQ(listener->wait(long_enough)->payload, "2");
  EXPECT_EQ(other.dispatch(events), 0U) << "all were taken";
}

TEST_F(Messages, AreListenedToUntilTheListenerEnds) {
  auto other = daemon_.connect();
  {
    auto listener = other.listen("a");
    auto same = other.listen("a");
    ASSERT_TRUE(client_.emit("a"));
    EXPECT_TRUE(listener->wait(long_enough));
    EXPECT_TRUE(same->wait(long_enough));
    EXPECT_EQ(left_over().at("memio_user_listens"), 2U);
  }
  ASSERT_TRUE(other.emit("b"));  // on the same connection, after what ended
  EXPECT_TRUE(left_over().empty());
  EXPECT_EQ(other.listen("a//b").error().code, Errc::invalid_pattern);
}

TEST_F(Messages, NeedTheRightToEmitAndToListen) {
  auto page = std::move(*Client::adopt(
      *client_.open_connection(std::vector<Grant>{{"in/*", {Right::listen}}, {"out/*", {Right::emit}}})));
  auto listener = page.listen("**");
  auto all = client_.listen("**");
  ASSERT_TRUE(listener) << listener.error().text();
  EXPECT_EQ(page.emit("in/a").error().code, Errc::permission_denied);
  ASSERT_TRUE(page.emit("out/a"));
  ASSERT_TRUE(client_.emit("secret"));
  ASSERT_TRUE(client_.emit("in/a"));
  EXPECT_EQ(listener->wait(long_enough)->topic, "in/a");
  EXPECT_EQ(all->wait(long_enough)->topic, "out/a");
}

// A listener that reads nothing while thousands are emitted: the emitter is answered all the same, and the listener
// hears how many it has lost, to the last one.
TEST_F(Messages, ASlowListenerLosesTheOldestAndHearsHowMany) {
  RawConnection slow(daemon_.socket_path());
  ASSERT_EQ(
      slow.ask(R"({"method":"io.memio.Receive","more":true,"parameters":{"listen":["n"]}})")->parameters.at("kind"),
      "ready");
  auto quick = client_.listen("n");
  constexpr std::uint64_t count = 3000;
  const std::string padding(500, 'x');
  auto emitter = daemon_.connect();
  for (std::uint64_t i = 1; i <= count; ++i)
    ASSERT_TRUE(emitter.emit("n", "[" + std::to_string(i) + ",\"" + padding + "\"]"));
  std::uint64_t received = 0;
  std::uint64_t lost = 0;
  for (std::uint64_t last = 0; last < count;) {
    const auto message = slow.receive();
    ASSERT_TRUE(message);
    const std::uint64_t number = message->parameters.at("value").at(0);
    const std::uint64_t before = message->parameters.value("lost", std::uint64_t{0});
    ASSERT_EQ(number, last + before + 1) << "each gap is told exactly";
    last = number;
    lost += before;
    ++received;
  }
  EXPECT_EQ(received + lost, count);
  EXPECT_GE(lost, 1000U);
  EXPECT_GE(received, 256U);
}

// The same for a program that dispatches and does not take them.
TEST_F(Messages, AListenerThatDoesNotTakeThemLosesTheOldest) {
  auto other = daemon_.connect();
  auto listener = other.listen("n");
  constexpr int count = 1000;
  std::array<Event, 4> events;
  for (int i = 1; i <= count; ++i) {
    ASSERT_TRUE(client_.emit("n", std::to_string(i)));
    if (i % 10 == 0) other.dispatch(events);
  }
  std::uint64_t accounted = 0;
  std::string last;
  while (last != std::to_string(count)) {
    const auto message = listener->wait(long_enough);
    ASSERT_TRUE(message);
    accounted += message->lost + 1;
    EXPECT_EQ(message->payload, std::to_string(accounted));
    last = message->payload;
  }
}

TEST_F(Messages, AListenerThatStoppedDelaysNobody) {
  const Turnstile ready;
  auto stopped = Process::fork([&] {
    auto client = daemon_.connect();
    auto listener = client.listen("**");
    ready.pass();
    ::pause();
    return 0;
  });
  ready.wait();
  stopped.signal(SIGSTOP);
  auto quick = client_.listen("n");
  auto emitter = daemon_.connect();
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(emitter.emit("n", std::to_string(i)));
    ASSERT_EQ(quick->wait(long_enough)->payload, std::to_string(i));
  }
}

TEST_F(Messages, AreListenedToAgainAfterMemiodWasAway) {
  auto other = daemon_.connect();
  auto listener = other.listen("n", {3});
  daemon_.kill();
  daemon_.start();
  dispatch_until(other, [&, seen = false]() mutable {
    seen = seen || left_over().contains("memio_user_listens");
    return seen;
  });
  ASSERT_TRUE(client_.emit("n", "1"));
  EXPECT_EQ(listener->wait(long_enough)->payload, "1");
}

TEST_F(Messages, EndForGoodWhereNobodyLooksForMemiod) {
  auto page = std::move(*Client::adopt(*client_.open_connection()));
  auto listener = page.listen("n");
  auto handler = page.handle("c");
  daemon_.kill();
  EXPECT_EQ(listener->wait(long_enough).error().code, Errc::disconnected);
  EXPECT_EQ(handler->wait(long_enough).error().code, Errc::disconnected);
  EXPECT_EQ(page.emit("n").error().code, Errc::disconnected);
  daemon_.start();
}

TEST_F(Messages, AreCounted) {
  auto listener = client_.listen("n");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client_.emit("n"));
  const auto text = daemon_.connect().open_metrics();
  EXPECT_THAT(*text, HasSubstr("memio_emits_total 5\n"));
  EXPECT_THAT(*text, HasSubstr("memio_listeners 1\n"));
  EXPECT_THAT(*text, HasSubstr("memio_lost_messages_total 0\n"));
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// One pollable descriptor: doorbells, watches, answers.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>

#include "support/bytes.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

using Events = DaemonTest;
constexpr std::chrono::seconds long_enough{20};

bool is_readable(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, 0) == 1;
}

// The events that are there within long_enough.
std::vector<Event> wait_events(Client& client) {
  std::array<Event, 16> events;
  auto told = client.wait(events, long_enough);
  EXPECT_TRUE(told) << told.error().text();
  return {events.begin(), events.begin() + static_cast<std::ptrdiff_t>(told.value_or(0))};
}

TEST_F(Events, ASubscriberIsToldWithItsToken) {
  auto writer = daemon_.connect();
  auto reader = daemon_.connect();
  auto a = writer.create("a", {.capacity = 16});
  auto b = writer.create("b", {.capacity = 16});
  auto a_read = reader.open("a", Access::read);
  auto b_read = reader.open("b", Access::read);
  ASSERT_TRUE(a_read->subscribe({1}));
  ASSERT_TRUE(b_read->subscribe({2}));
  std::array<Event, 4> events;
  EXPECT_EQ(reader.dispatch(events), 0U) << "nothing has been published";
  ASSERT_TRUE(b->write(bytes("x")));
  auto told = wait_events(reader);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].kind, Event::Kind::region_changed);
  EXPECT_EQ(told[0].token, Token{2});
  ASSERT_TRUE(a->write(bytes("x")));
  told = wait_events(reader);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].token, Token{1});
}

TEST_F(Events, PublishesThatNobodyTookBecomeOneEvent) {
  auto client = daemon_.connect();
  auto writer = client.create("a", {.capacity = 16});
  auto reader = client.open("a", Access::read);
  ASSERT_TRUE(reader->subscribe({1}));
  std::array<Event, 4> events;
  client.dispatch(events);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(writer->write(bytes("x")));
  EXPECT_EQ(client.dispatch(events), 1U);
  EXPECT_EQ(client.dispatch(events), 0U);
  EXPECT_FALSE(is_readable(client.get_fd()));
  EXPECT_EQ(reader->sequence(), 100U);
}

TEST_F(Events, SubscribingTellsOfWhatWasPublishedBefore) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region->write(bytes("x")));
  ASSERT_TRUE(region->subscribe({7}));
  EXPECT_TRUE(is_readable(client.get_fd()));
  std::array<Event, 4> events;
  EXPECT_EQ(client.dispatch(events), 1U);
  ASSERT_TRUE(region->subscribe({7}, 1));
  EXPECT_EQ(client.dispatch(events), 0U) << "sequence 1 has been seen";
}

TEST_F(Events, MoreEventsThanRoomComeWithTheNextDispatch) {
  auto client = daemon_.connect();
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < 10; ++i) {
    regions.push_back(std::move(*client.create("r" + std::to_string(i), {.capacity = 16})));
    ASSERT_TRUE(regions.back().subscribe({i}));
    ASSERT_TRUE(regions.back().write(bytes("x")));
  }
  std::array<Event, 3> events;
  std::vector<std::uint64_t> tokens;
  while (is_readable(client.get_fd())) {
    const auto told = client.dispatch(events);
    for (std::size_t i = 0; i < told; ++i) tokens.push_back(events[i].token.value);
  }
  std::ranges::sort(tokens);
  EXPECT_EQ(tokens, (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(Events, AnUnsubscribedRegionIsSilent) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region->subscribe({1}));
  ASSERT_TRUE(region->write(bytes("x")));
  region->unsubscribe();
  std::array<Event, 4> events;
  EXPECT_EQ(client.dispatch(events), 0U);
}

TEST_F(Events, TheDescriptorNestsInAnotherEpoll) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region->subscribe({1}));
  std::array<Event, 4> events;
  client.dispatch(events);
  UniqueFd outer(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event interest{EPOLLIN, {}};
  ASSERT_EQ(::epoll_ctl(outer.get(), EPOLL_CTL_ADD, client.get_fd(), &interest), 0);
  epoll_event found;
  EXPECT_EQ(::epoll_wait(outer.get(), &found, 1, 0), 0);
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    return other->open("a", Access::write)->write(bytes("x")) ? 0 : 1;
  });
  EXPECT_EQ(::epoll_wait(outer.get(), &found, 1, 20'000), 1);
  EXPECT_EQ(client.dispatch(events), 1U);
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Events, WaitTimesOutAndWakes) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  EXPECT_EQ(region->wait(0, std::chrono::milliseconds(1)).error().code, Errc::timed_out);
  ASSERT_TRUE(region->write(bytes("x")));
  EXPECT_EQ(*region->wait(0, std::chrono::milliseconds(0)), 1U);
}

TEST_F(Events, AnswersOfAsyncCallsComeInDispatchAndInOrder) {
  auto client = daemon_.connect();
  std::vector<std::string> order;
  client.create_async("a", {.capacity = 16}, [&](Result<Region> r) { order.push_back(r ? "created" : "failed"); });
  client.open_async("none", Access::read, [&](Result<Region> r) { order.emplace_back(r.error().name()); });
  client.list_async("", [&](Result<std::vector<RegionInfo>> r) { order.push_back(std::to_string(r->size())); });
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(client.stat("a")) << "a call that waits keeps the earlier answers for dispatch()";
  EXPECT_TRUE(order.empty());
  std::array<Event, 4> events;
  while (order.size() < 3) client.dispatch(events);
  // The region of the first answer was dropped by its callback at once; the list was answered before that.
  EXPECT_EQ(order, (std::vector<std::string>{"created", "io.memio.NoSuchRegion", "1"}));
}

TEST_F(Events, AWatchCanBeginWithoutWaiting) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  std::vector<Watcher> begun;
  const auto keep = [&](Result<Watcher> watcher) {
    ASSERT_TRUE(watcher) << watcher.error().text();
    begun.push_back(std::move(*watcher));
  };
  client.watch_async("", false, {5}, keep);
  client.watch_async("[", false, {6}, keep);
  EXPECT_TRUE(begun.empty());
  std::array<Event, 4> events;
  while (begun.size() < 2) client.dispatch(events);
  EXPECT_EQ(begun[0].wait(long_enough)->kind, EventKind::present);
  EXPECT_EQ(begun[1].wait(long_enough).error().code, Errc::invalid_pattern)
      << "what is wrong with the watch it tells itself";
  EXPECT_EQ(begun[0].wait(long_enough)->kind, EventKind::ready);
  auto other = daemon_.connect();
  auto second = other.create("b", {.capacity = 16});
  const auto told = client.wait(events, long_enough);
  ASSERT_TRUE(told && *told > 0);
  EXPECT_EQ(events[0].kind, Event::Kind::watch_ready);
  EXPECT_EQ(begun[0].wait(long_enough)->kind, EventKind::created);
}

TEST_F(Events, AWatcherTellsOfWhatIsAndWhatHappens) {
  auto client = daemon_.connect();
  auto first = client.create("first", {.capacity = 16});
  auto watcher = client.watch("", true, {5});
  ASSERT_TRUE(watcher) << watcher.error().text();
  auto event = watcher->wait(long_enough);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, EventKind::present);
  EXPECT_EQ(event->region->name, "first");
  EXPECT_EQ(watcher->wait(long_enough)->kind, EventKind::ready);

  auto second = client.create("second", {.capacity = 16});
  event = watcher->wait(long_enough);
  EXPECT_EQ(event->kind, EventKind::created);
  EXPECT_EQ(event->region->name, "second");
  ASSERT_TRUE(second->write(bytes("x"), 99));
  event = watcher->wait(long_enough);
  EXPECT_EQ(event->kind, EventKind::version);
  EXPECT_EQ(event->version, 99U);
  EXPECT_EQ(event->region->sequence, 1U);
  ASSERT_TRUE(client.remove("first"));
  event = watcher->wait(long_enough);
  EXPECT_EQ(event->kind, EventKind::removed);
  EXPECT_EQ(event->region->name, "first");
}

TEST_F(Events, AWatcherReportsThroughTheClientsDescriptor) {
  auto client = daemon_.connect();
  auto watcher = client.watch("**", false, {5});
  ASSERT_TRUE(watcher);
  auto told = wait_events(client);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].kind, Event::Kind::watch_ready);
  EXPECT_EQ(told[0].token, Token{5});
  while (*watcher->next()) {
  }
  auto region = client.create("a", {.capacity = 16});
  told = wait_events(client);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ((*watcher->next())->kind, EventKind::created);
}

TEST_F(Events, ASlowWatcherGetsTheNewestStateAndNotEveryStep) {
  constexpr int publishes = 20'000;
  auto client = daemon_.connect();
  auto region = client.create("hot", {.capacity = 16});
  auto watcher = client.watch("", true);
  ASSERT_TRUE(watcher);
  for (int i = 0; i < publishes; ++i) ASSERT_TRUE(region->write(bytes("x")));
  int events = 0;
  for (std::uint64_t newest = 0; newest < publishes; ++events) {
    auto event = watcher->wait(long_enough);
    ASSERT_TRUE(event) << event.error().text();
    if (event->kind != EventKind::version) continue;
    EXPECT_GE(event->region->sequence, newest);
    newest = event->region->sequence;
  }
  EXPECT_LT(events, publishes / 2);
}

TEST_F(Events, WatchingCountsNoHandlesAndRefusesABadPattern) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  auto watcher = client.watch("a", true);
  EXPECT_EQ(client.stat("a")->region.handles, 1U);
  EXPECT_EQ(client.watch("a//b", true).error().code, Errc::invalid_pattern);
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Scoped connections: rights only ever get fewer, and what one has no right to does not exist.

#include <gtest/gtest.h>

#include "support/bytes.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

class Grants : public DaemonTest {
 protected:
  Client client_ = daemon_.connect();
  Region open_ = std::move(*client_.create("page/state", {.capacity = 16}));
  Region secret_ = std::move(*client_.create("secret", {.capacity = 16}));

  static Client scoped(Client& from, std::vector<Grant> grants) {
    auto socket = from.open_connection(std::move(grants));
    EXPECT_TRUE(socket) << socket.error().text();
    return std::move(*Client::adopt(std::move(*socket)));
  }
};

TEST_F(Grants, AnUnscopedConnectionMayAll) {
  auto socket = client_.open_connection();
  ASSERT_TRUE(socket);
  auto other = Client::adopt(std::move(*socket));
  EXPECT_TRUE(other->open("secret", Access::write));
}

TEST_F(Grants, ANameOutsideTheGrantsIsAsIfItWereNotThere) {
  auto page = scoped(client_, {{"page/**", {Right::read}}});
  const auto outside = page.open("secret", Access::read);
  const auto absent = page.open("absent", Access::read);
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, Errc::no_such_region);
  EXPECT_EQ(outside.error().text().size() - 6, absent.error().text().size() - 6);
  EXPECT_EQ(page.stat("secret").error().code, Errc::no_such_region);
  EXPECT_EQ(page.remove("secret").error().code, Errc::no_such_region);
  ASSERT_EQ(page.list()->size(), 1U);
  EXPECT_EQ(page.list()->front().name, "page/state");
}

TEST_F(Grants, EachRightIsNeeded) {
  auto page = scoped(client_, {{"page/**", {Right::read}}});
  EXPECT_TRUE(page.open("page/state", Access::read));
  EXPECT_EQ(page.open("page/state", Access::write).error().code, Errc::permission_denied);
  EXPECT_EQ(page.remove("page/state").error().code, Errc::permission_denied);
  EXPECT_EQ(page.create("page/new", {.capacity = 1}).error().code, Errc::permission_denied);
  auto maker = scoped(client_, {{"page/**", {Right::create, Right::remove}}});
  EXPECT_TRUE(maker.create("page/new", {.capacity = 1}));
  EXPECT_EQ(maker.open("page/state", Access::read).error().code, Errc::permission_denied);
  EXPECT_TRUE(maker.remove("page/state"));
}

TEST_F(Grants, RightsCanOnlyBeNarrowed) {
  auto page = scoped(client_, {{"page/**", {Right::read}}});
  auto wider = scoped(page, {{"**", {Right::read, Right::write}}});
  EXPECT_TRUE(wider.open("page/state", Access::read));
  EXPECT_EQ(wider.open("page/state", Access::write).error().code, Errc::permission_denied);
  EXPECT_EQ(wider.open("secret", Access::read).error().code, Errc::no_such_region);
  auto same = page.open_connection();
  ASSERT_TRUE(same);
  EXPECT_EQ(Client::adopt(std::move(*same))->open("secret", Access::read).error().code, Errc::no_such_region);
}

TEST_F(Grants, AWatchOnlyTellsOfWhatMayBeWatched) {
  auto page = scoped(client_, {{"page/**", {Right::watch}}});
  auto watcher = page.watch("", true);
  ASSERT_TRUE(watcher) << watcher.error().text();
  EXPECT_EQ(watcher->wait(std::chrono::seconds(20))->region->name, "page/state");
  EXPECT_EQ(watcher->wait(std::chrono::seconds(20))->kind, EventKind::ready);
  ASSERT_TRUE(secret_.write(bytes("x")));
  ASSERT_TRUE(open_.write(bytes("x")));
  EXPECT_EQ(watcher->wait(std::chrono::seconds(20))->region->name, "page/state");
}

TEST_F(Grants, ABadPatternIsRefused) {
  auto socket = client_.open_connection(std::vector<Grant>{{"a//b", {Right::read}}});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, Errc::invalid_pattern);
}

TEST_F(Grants, ScopedHandlesHaveNoPid) {
  auto page = scoped(client_, {{"page/**", {Right::read}}});
  auto region = page.open("page/state", Access::read);
  ASSERT_TRUE(region);
  const auto states = client_.stat("page/state")->handle_states;
  ASSERT_EQ(states.size(), 2U);
  EXPECT_TRUE(states[0].pid.has_value());
  EXPECT_FALSE(states[1].pid.has_value());
}

}  // namespace
}  // namespace memio::test

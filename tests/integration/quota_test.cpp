// SPDX-License-Identifier: MIT
// Quotas: who passes one is told which, how much it is and where it is set; nothing is lost, and nobody else notices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/bytes.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

using testing::HasSubstr;

constexpr std::string_view small_quotas = R"({
  "limits": {
    "user": {"regions": 8, "connections": 8, "handles": 16, "watches": 8},
    "connection": {"regions": 5, "bytes": "1M", "handles": 6, "fds": 12, "connections": 3, "watches": 2,
                   "messagesPerSecond": 500},
    "scoped": {"regions": 2, "handles": 2, "watches": 1, "connections": 1},
    "regionBytes": "512K"
  }
})";

class Quota : public DaemonTest {
 protected:
  Quota() : DaemonTest(std::string(small_quotas)) {}
  Client client_ = daemon_.connect();

  template <class T>
  static void expect_limit(const Result<T>& result, const std::string& key) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::limit_exceeded) << result.error().text();
    EXPECT_THAT(result.error().message, HasSubstr(key + " in memiod.conf"));
  }
  static std::vector<Region> create(Client& client, const std::string& prefix, int count) {
    std::vector<Region> regions;
    for (int i = 0; i < count; ++i)
      regions.push_back(std::move(*client.create(prefix + std::to_string(i), {.capacity = 16})));
    return regions;
  }
};

TEST_F(Quota, RegionsOfAConnection) {
  auto regions = create(client_, "a", 5);
  expect_limit(client_.create("more", {.capacity = 16}), "limits.connection.regions");
  // One that was removed but is still open has memory, and counts.
  ASSERT_TRUE(client_.remove("a0"));
  expect_limit(client_.create("more", {.capacity = 16}), "limits.connection.regions");
  regions.erase(regions.begin());
  EXPECT_TRUE(client_.create("more", {.capacity = 16}));
}

TEST_F(Quota, RegionsOfAUser) {
  const auto mine = create(client_, "a", 5);
  auto other = daemon_.connect();
  const auto others = create(other, "b", 3);
  expect_limit(other.create("more", {.capacity = 16}), "limits.user.regions");
}

TEST_F(Quota, ARegionIsPaidForUntilItIsGoneWhoeverMadeIt) {
  {
    auto other = daemon_.connect();
    for (int i = 0; i < 5; ++i)
      ASSERT_TRUE(other.create("b" + std::to_string(i), {.capacity = 16, .lifetime = Lifetime::persistent}));
  }
  const auto mine = create(client_, "a", 3);
  expect_limit(client_.create("more", {.capacity = 16}), "limits.user.regions");
  ASSERT_TRUE(client_.remove("b0"));
  EXPECT_TRUE(client_.create("more", {.capacity = 16}));
}

TEST_F(Quota, BytesAreThoseOfTheRegionTouchedOrNot) {
  const auto half = client_.create("half", {.capacity = 120'000});
  ASSERT_TRUE(half) << half.error().text();
  const auto other = client_.create("other", {.capacity = 120'000});
  ASSERT_TRUE(other);
  expect_limit(client_.create("third", {.capacity = 120'000}), "limits.connection.bytes");
  EXPECT_TRUE(client_.create("small", {.capacity = 16}));
  const auto large = client_.create("large", {.capacity = 600'000});
  EXPECT_EQ(large.error().code, Errc::invalid_capacity);
  EXPECT_THAT(large.error().message, HasSubstr("limits.regionBytes"));
}

TEST_F(Quota, Handles) {
  const auto region = create(client_, "a", 1);
  std::vector<Region> open;
  for (int i = 0; i < 5; ++i) open.push_back(std::move(*client_.open("a0", Access::read)));
  expect_limit(client_.open("a0", Access::read), "limits.connection.handles");
  // A region whose handle is refused is not there afterwards.
  expect_limit(client_.create("new", {.capacity = 16}), "limits.connection.handles");
  EXPECT_EQ(client_.stat("new").error().code, Errc::no_such_region);
  open.pop_back();
  EXPECT_TRUE(client_.open("a0", Access::read));
}

TEST_F(Quota, ScopedConnectionsTakeFromTheirMaker) {
  auto page = std::move(*Client::adopt(std::move(*client_.open_connection())));
  const auto pages = create(page, "p", 2);
  expect_limit(page.create("more", {.capacity = 16}), "limits.scoped.regions");
  auto mine = create(client_, "a", 3);
  expect_limit(client_.create("more", {.capacity = 16}), "limits.connection.regions");
  mine.pop_back();
  ASSERT_TRUE(client_.remove("a2"));
  auto second = std::move(*Client::adopt(std::move(*client_.open_connection())));
  EXPECT_TRUE(second.create("more", {.capacity = 16}));
}

TEST_F(Quota, ScopedConnectionsOfAMaker) {
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < 3; ++i) sockets.push_back(std::move(*client_.open_connection()));
  expect_limit(client_.open_connection(), "limits.connection.connections");
  // It lives by itself, and is counted for its maker until it ends.
  auto page = std::move(*Client::adopt(std::move(sockets.back())));
  expect_limit(page.open_connection(), "limits.connection.connections");
}

TEST_F(Quota, OpeningConnectionsUntilTheLimit) {
  std::vector<Client> clients;
  for (int i = 0; i < 7; ++i) clients.push_back(daemon_.connect());
  RawConnection refused(daemon_.socket_path());
  const auto reply = refused.receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->error, "io.memio.LimitExceeded");
  EXPECT_THAT(reply->parameters.dump(), HasSubstr("limits.user.connections"));
  EXPECT_TRUE(refused.is_closed_by_peer());
  EXPECT_TRUE(client_.list());
  clients.pop_back();
  EXPECT_TRUE(client_.list());
  // The end of one is noticed in the loop's own time.
  bool accepted = false;
  for (int i = 0; i < 1000 && !accepted; ++i) accepted = daemon_.connect().list().has_value();
  EXPECT_TRUE(accepted);
}

TEST_F(Quota, Watches) {
  RawConnection raw(daemon_.socket_path());
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(raw.ask(R"({"method":"io.memio.Watch","more":true})")->parameters.at("event"), "ready");
  const auto refused = raw.ask(R"({"method":"io.memio.Watch","more":true})");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error, "io.memio.LimitExceeded");
  EXPECT_THAT(refused->parameters.dump(), HasSubstr("limits.connection.watches"));
}

// 500 a second: twice as many take a second, and all are answered.
TEST_F(Quota, AFloodIsReadSlowerAndNotEnded) {
  constexpr int calls = 700;
  RawConnection flooder(daemon_.socket_path());
  std::string flood;
  for (int i = 0; i < calls; ++i) flood += R"({"method":"io.memio.List"})" + std::string(1, '\0');
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(flooder.send(flood));
  for (int i = 0; i < calls; ++i) ASSERT_EQ(flooder.receive()->error, "");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(300));
  EXPECT_TRUE(client_.list()) << "others are not slowed down";
}

// A session that has been sent as many descriptors as it may is not read from until it takes some.
TEST_F(Quota, DescriptorsThatNobodyReceives) {
  const auto region = create(client_, "a", 1);
  RawConnection raw(daemon_.socket_path());
  constexpr int calls = 6;  // 18 descriptors; 12 may be on their way
  std::string opens;
  for (int i = 0; i < calls; ++i)
    opens += R"({"method":"io.memio.Open","parameters":{"name":"a0","access":"read"}})" + std::string(1, '\0');
  ASSERT_TRUE(raw.send(opens));
  int good = 0;
  int refused = 0;
  for (int i = 0; i < calls; ++i) {
    const auto reply = raw.receive();
    ASSERT_TRUE(reply);
    ++(reply->error.empty() ? good : refused);
    if (!reply->error.empty()) {
      EXPECT_THAT(reply->parameters.dump(), HasSubstr("limits.connection.fds"));
    }
  }
  EXPECT_GE(good, 4);
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.List"})")->error, "");
}

}  // namespace
}  // namespace memio::test

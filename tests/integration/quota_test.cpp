// SPDX-License-Identifier: MIT
// Quotas: who passes one is told which, how much it is and where it is set; nothing is lost, and nobody else notices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "support/becomes.h"
#include "support/bytes.h"
#include "support/charges.h"
#include "support/daemon.h"
#include "support/raw_connection.h"
#include "support/shown_region.h"

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

constexpr std::string_view watch_call = R"({"method":"io.memio.Watch","more":true})";

class Quota : public DaemonTest {
 protected:
  explicit Quota(std::string_view quotas = small_quotas) : DaemonTest(std::string(quotas)) {}
  Client client_ = daemon_.connect();
  Charges before_;

  void SetUp() override {
    ASSERT_TRUE(client_.list());
    before_ = charges_by(client_);
  }

  // As soon as memiod has noticed that all others have gone.
  void expect_all_given_back() {
    becomes([&] { return charges_by(client_) == before_; });
    EXPECT_EQ(charges_by(client_), before_);
  }

  template <class T>
  static void expect_limit(const Result<T>& result, const std::string& key) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::limit_exceeded) << result.error().text();
    EXPECT_THAT(result.error().message, HasSubstr(key + " in memiod.conf"));
  }
  static void expect_limit(const std::optional<Reply>& reply, const std::string& key) {
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->error, "io.memio.LimitExceeded");
    EXPECT_THAT(reply->parameters.dump(), HasSubstr(key + " in memiod.conf"));
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

TEST_F(Quota, RegionsThatAScopedConnectionShowsAreItsOwn) {
  RawConnection scoped(std::move(*client_.open_connection(std::vector<Grant>{{"page/*", {Right::create}}})));
  const std::vector<ShownRegion> shown(3);
  const auto attach = [&](std::size_t number) {
    const auto call =
        ShownRegion::call({{"name", "page/" + std::to_string(number)}, {"lifetime", "persistent"}, {"creator", false}});
    return scoped.ask(call, shown.at(number).fds()).value();
  };
  EXPECT_EQ(attach(0).error, "");
  EXPECT_EQ(attach(1).error, "");
  const auto refused = attach(2);
  EXPECT_EQ(refused.error, "io.memio.LimitExceeded");
  EXPECT_THAT(refused.parameters.dump(), HasSubstr("limits.scoped.regions"));
  EXPECT_EQ(client_.list()->size(), 2U);
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
  expect_limit(refused.receive(), "limits.user.connections");
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
  for (int i = 0; i < 2; ++i) ASSERT_EQ(raw.ask(watch_call)->parameters.at("event"), "ready");
  expect_limit(raw.ask(watch_call), "limits.connection.watches");
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

// A page has less of everything than its maker, and what it had is its maker's again.
class ScopedQuota : public Quota {
 protected:
  UniqueFd open_connection() { return std::move(*client_.open_connection()); }
};

TEST_F(ScopedQuota, Handles) {
  {
    auto owner = daemon_.connect();
    const auto region = create(owner, "a", 1);
    auto page = std::move(*Client::adopt(open_connection()));
    std::vector<Region> open;
    for (int i = 0; i < 2; ++i) open.push_back(std::move(*page.open("a0", Access::read)));
    expect_limit(page.open("a0", Access::read), "limits.scoped.handles");
    open.pop_back();
    EXPECT_TRUE(page.open("a0", Access::read));
  }
  expect_all_given_back();
}

TEST_F(ScopedQuota, HandlesCountForTheirMaker) {
  {
    auto owner = daemon_.connect();
    const auto region = create(owner, "a", 1);
    std::vector<Client> pages;
    std::vector<Region> open;
    for (int i = 0; i < 3; ++i) {
      pages.push_back(std::move(*Client::adopt(open_connection())));
      for (int each = 0; each < 2; ++each) open.push_back(std::move(*pages.back().open("a0", Access::read)));
    }
    expect_limit(client_.open("a0", Access::read), "limits.connection.handles");
    open.clear();
    pages.pop_back();
    EXPECT_TRUE(becomes([&] { return client_.open("a0", Access::read).has_value(); }));
  }
  expect_all_given_back();
}

TEST_F(ScopedQuota, Watches) {
  {
    RawConnection page(open_connection());
    ASSERT_EQ(page.ask(watch_call)->parameters.at("event"), "ready");
    expect_limit(page.ask(watch_call), "limits.scoped.watches");
    RawConnection second(open_connection());
    ASSERT_EQ(second.ask(watch_call)->parameters.at("event"), "ready");
    RawConnection third(open_connection());
    expect_limit(third.ask(watch_call), "limits.connection.watches");
    { const auto gone = std::move(second); }
    EXPECT_TRUE(becomes([&] { return third.ask(watch_call)->error.empty(); }));
  }
  expect_all_given_back();
}

TEST_F(ScopedQuota, Connections) {
  {
    auto page = std::move(*Client::adopt(open_connection()));
    auto frame = page.open_connection();
    ASSERT_TRUE(frame);
    expect_limit(page.open_connection(), "limits.scoped.connections");
    frame->reset();
    EXPECT_TRUE(becomes([&] { return page.open_connection().has_value(); }));
  }
  expect_all_given_back();
}

// What a user may have is less than what two of its connections may.
class UserQuota : public Quota {
 protected:
  static constexpr std::uint64_t queued_of_user = std::uint64_t{256} << 10;
  static constexpr std::uint64_t queued_of_connection = std::uint64_t{192} << 10;
  UserQuota()
      : Quota(R"({"limits": {"user": {"bytes": "1M", "handles": 6, "watches": 3, "queuedBytes": "256K"},
                             "connection": {"queuedBytes": "192K"}}})") {}

  // A connection that memiod has taken, so that it is the newest.
  [[nodiscard]] RawConnection connect() const {
    RawConnection raw(daemon_.socket_path());
    EXPECT_EQ(raw.ask(R"({"method":"io.memio.List"})")->error, "");
    return raw;
  }
  SessionInfo newest() { return client_.list_sessions()->back(); }
  // Asks without reading the answers, which are a hundred times as long, until `is_so`; returns how often.
  std::size_t ask_until(RawConnection& raw, const std::function<bool()>& is_so) {
    constexpr std::size_t most = 200;  // more than that it is not read from
    std::size_t asked = 0;
    for (; asked < most && !is_so(); ++asked)
      raw.send(std::string(R"({"method":"org.varlink.service.GetInterfaceDescription",)"
                           R"("parameters":{"interface":"io.memio"}})") +
               '\0');
    EXPECT_LT(asked, most) << "it never came";
    return asked;
  }
};

TEST_F(UserQuota, Bytes) {
  {
    auto first = daemon_.connect();
    auto second = std::make_optional(daemon_.connect());
    ASSERT_TRUE(first.create("half", {.capacity = 120'000}));
    ASSERT_TRUE(second->create("other", {.capacity = 120'000}));
    expect_limit(client_.create("third", {.capacity = 120'000}), "limits.user.bytes");
    second.reset();
    EXPECT_TRUE(becomes([&] { return first.create("third", {.capacity = 120'000}).has_value(); }));
  }
  expect_all_given_back();
}

TEST_F(UserQuota, Handles) {
  {
    auto owner = daemon_.connect();
    const auto region = create(owner, "a", 1);
    auto other = daemon_.connect();
    std::vector<Region> open;
    for (int i = 0; i < 5; ++i) open.push_back(std::move(*(i % 2 == 0 ? owner : other).open("a0", Access::read)));
    expect_limit(client_.open("a0", Access::read), "limits.user.handles");
    expect_limit(other.create("new", {.capacity = 16}), "limits.user.handles");
    EXPECT_EQ(client_.stat("new").error().code, Errc::no_such_region);
    open.pop_back();
    EXPECT_TRUE(becomes([&] { return client_.open("a0", Access::read).has_value(); }));
  }
  expect_all_given_back();
}

TEST_F(UserQuota, Watches) {
  {
    std::vector<RawConnection> watching;
    for (int i = 0; i < 3; ++i) {
      watching.emplace_back(daemon_.socket_path());
      ASSERT_EQ(watching.back().ask(watch_call)->parameters.at("event"), "ready");
    }
    RawConnection more(daemon_.socket_path());
    expect_limit(more.ask(watch_call), "limits.user.watches");
    watching.pop_back();
    EXPECT_TRUE(becomes([&] { return more.ask(watch_call)->error.empty(); }));
  }
  expect_all_given_back();
}

// Who lets more wait than it may is ended. What had been sent to it by then it can read.
TEST_F(UserQuota, QueuedBytesOfAConnection) {
  {
    auto raw = connect();
    const auto id = newest().id;
    const auto asked = ask_until(raw, [&] {
      const auto found = newest();
      EXPECT_LE(found.queued_bytes, queued_of_connection);
      return found.id != id;
    });
    std::size_t answered = 0;
    while (const auto reply = raw.receive()) {
      EXPECT_EQ(reply->error, "");
      ++answered;
    }
    EXPECT_GT(answered, 0U);
    EXPECT_LT(answered, asked);
    EXPECT_TRUE(client_.list());
  }
  expect_all_given_back();
}

TEST_F(UserQuota, QueuedBytes) {
  {
    auto patient = connect();
    const auto asked = ask_until(patient, [&] { return newest().queued_bytes >= queued_of_user / 2; });
    const auto unread = newest().queued_bytes;
    auto raw = connect();
    const auto id = newest().id;
    ask_until(raw, [&] {
      const auto found = newest();
      if (found.id != id) return true;
      EXPECT_LE(unread + found.queued_bytes, queued_of_user);
      return false;
    });
    EXPECT_EQ(newest().queued_bytes, unread) << "who had been there first has lost nothing";
    for (std::size_t i = 0; i < asked; ++i) ASSERT_EQ(patient.receive()->error, "") << i;
    EXPECT_TRUE(becomes([&] { return newest().queued_bytes == 0; })) << "what has been read is not charged any more";
  }
  expect_all_given_back();
}

}  // namespace
}  // namespace memio::test

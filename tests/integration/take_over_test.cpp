// SPDX-License-Identifier: MIT
// memiod --takeover: one memiod goes on where another was, without systemd.

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "support/bytes.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

class TakeOver : public testing::Test {
 protected:
  // One without a manager: with one it would have to be restarted there.
  [[nodiscard]] Process start(std::vector<std::string> more = {}) const {
    std::vector<std::string> command = {MEMIOD_PATH, "--socket", path_, "--log-level", "error"};
    command.insert(command.end(), more.begin(), more.end());
    return Process::run(command, {{"NOTIFY_SOCKET", ""}});
  }
  // As soon as there is one.
  [[nodiscard]] Client connect() const {
    auto client = Client::connect(path_);
    while (!client) client = Client::connect(path_);
    return std::move(*client);
  }

  TemporaryDirectory runtime_;
  std::string path_ = runtime_.path() + "/s";
  Process first_ = start();
};

TEST_F(TakeOver, EverythingGoesOn) {
  auto client = connect();
  std::vector<Region> regions;
  for (const auto lifetime : {Lifetime::session, Lifetime::linger, Lifetime::persistent}) {
    auto region = client.create("r" + std::to_string(regions.size()), {.capacity = 64, .lifetime = lifetime});
    ASSERT_TRUE(region->write(bytes("kept"), 41));
    regions.push_back(std::move(*region));
  }
  ASSERT_TRUE(connect().create("unopened", {.capacity = 64, .lifetime = Lifetime::persistent}));
  auto lease = regions[0].read();
  auto second = start({"--takeover"});
  EXPECT_EQ(first_.wait(), 0) << "the first has ended";
  auto newcomer = connect();
  for (const auto& region : regions) {
    const auto state = newcomer.stat(region.info().name);
    ASSERT_TRUE(state) << state.error().text();
    EXPECT_EQ(state->region.generation, region.info().generation);
    EXPECT_EQ(state->region.lifetime, region.info().lifetime);
    EXPECT_EQ(state->version, 41U);
  }
  EXPECT_TRUE(newcomer.open("unopened", Access::write)) << "known to no client";
  ASSERT_TRUE(client.list()) << "the client finds the second by itself";
  EXPECT_EQ(newcomer.stat("r0")->region.handles, 1U);
  ASSERT_TRUE(regions[0].write(bytes("new")));
  EXPECT_EQ(text(lease->data()), "kept") << "the lease held throughout";

  auto third = start({"--takeover"});
  EXPECT_EQ(second.wait(), 0);
  EXPECT_EQ(connect().stat("r2")->version, 41U);
  third.signal(SIGTERM);
  EXPECT_EQ(third.wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_)) << "the socket is the last one's to remove";
}

TEST_F(TakeOver, AThousandRegionsAreHandedOver) {
  auto client = connect();
  std::vector<Region> regions;
  for (int i = 0; i < 1000; ++i) {
    auto region = client.create("r" + std::to_string(i), {.capacity = 64});
    ASSERT_TRUE(region) << region.error().text();
    regions.push_back(std::move(*region));
  }
  const auto second = start({"--takeover"});
  EXPECT_EQ(first_.wait(), 0);
  EXPECT_EQ(connect().list()->size(), 1000U);
}

constexpr auto call = R"({"method":"io.memio.TakeOver","more":true,"parameters":{"version":1}})";

TEST_F(TakeOver, OneThatDoesNotCommitChangesNothing) {
  auto client = connect();
  auto region = client.create("a", {.capacity = 64});
  ASSERT_TRUE(region);
  {
    RawConnection successor(path_);
    auto reply = successor.ask(call);
    while (reply && reply->continues) reply = successor.receive();
    ASSERT_TRUE(reply);
    EXPECT_FALSE(reply->parameters.contains("name"));
  }
  EXPECT_TRUE(client.stat("a"));
  EXPECT_TRUE(client.create("b", {.capacity = 64}));
  {
    RawConnection successor(path_);
    auto reply = successor.ask(call);
    while (reply && reply->continues) reply = successor.receive();
    EXPECT_TRUE(successor.send(std::string(R"({"method":"io.memio.List"})") + '\0'));
  }
  EXPECT_TRUE(client.stat("a")) << "the same connection";
}

TEST_F(TakeOver, IsNotForEverybody) {
  auto client = connect();
  RawConnection scoped(std::move(*client.open_connection(std::vector<Grant>{{"**", {Right::read}}})));
  EXPECT_EQ(scoped.ask(call)->error, "io.memio.PermissionDenied");
  RawConnection raw(path_);
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.TakeOver","parameters":{"version":1}})")->error,
            "org.varlink.service.ExpectedMore");
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.TakeOver","more":true,"parameters":{"version":0}})")->error,
            "org.varlink.service.InvalidParameter");
  EXPECT_TRUE(client.list());
}

TEST_F(DaemonTest, OneThatAServiceManagerRunsIsRestartedThere) {
  auto client = daemon_.connect();
  RawConnection raw(daemon_.socket_path());
  const auto reply = raw.ask(call);
  EXPECT_EQ(reply->error, "io.memio.PermissionDenied");
  EXPECT_NE(reply->parameters["message"].get<std::string>().find("systemctl --user restart"), std::string::npos);
  EXPECT_TRUE(client.list());
}

TEST(TakeOverOfNothing, IsAnError) {
  const TemporaryDirectory runtime;
  auto process = Process::run({MEMIOD_PATH, "--takeover", "--socket", runtime.path() + "/s", "--log-level", "error"});
  EXPECT_EQ(process.wait(), 1);
}

}  // namespace
}  // namespace memio::test

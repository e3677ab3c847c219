// SPDX-License-Identifier: MIT
// memiod is started by its first client, tells systemd how it does, reads its settings anew, and ends when it has
// nothing.

#include <signal.h>

#include <filesystem>
#include <fstream>

#include "service.h"

namespace memio::test {
namespace {

using Service = ServiceTest;

TEST_F(Service, IsStartedByItsFirstClient) {
  start();
  EXPECT_EQ(property("ActiveState"), "inactive");
  auto client = connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region) << region.error().text();
  EXPECT_EQ(property("ActiveState"), "active");
  EXPECT_TRUE(becomes("StatusText", "1 regions, 1 connections"));
}

TEST_F(Service, ReloadsWithoutLosingAnything) {
  start();
  auto client = connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region);
  const auto pid = main_pid();
  systemctl({"reload", "memiod.service"});
  EXPECT_TRUE(becomes("ActiveState", "active"));
  ASSERT_EQ(::kill(pid, SIGHUP), 0);
  EXPECT_TRUE(becomes([] { return !logged("was read again").empty(); }));
  EXPECT_TRUE(becomes("ActiveState", "active"));
  EXPECT_EQ(main_pid(), pid);
  EXPECT_TRUE(client.stat("a"));
}

TEST_F(Service, AConfigurationThatIsReadAgainCountsIfItIsRight) {
  start();
  auto client = connect();
  ASSERT_TRUE(client.create("a", {.capacity = 16}));
  const auto path = home() + "/.config/memio/memiod.conf";
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << R"({"limits": {"connection": {"regions": 0}}})";
  systemctl({"reload", "memiod.service"});
  EXPECT_TRUE(becomes([&] {
    auto after = connect();  // quotas are those of when a connection is made
    const auto region = after.create("b", {.capacity = 16});
    return !region && region.error().code == Errc::limit_exceeded;
  }));
  std::ofstream(path) << "{";
  systemctl({"reload", "memiod.service"});
  EXPECT_TRUE(becomes([] { return !logged("was not taken over").empty(); }));
  EXPECT_TRUE(becomes("ActiveState", "active"));
}

TEST_F(Service, EndsWhenItHasNothingAndComesBackWhenItIsWanted) {
  start("[Service]\nExecStart=\nExecStart=" + home() + "/memiod --exit-idle-time 1\n");
  std::uint64_t generation = 0;
  {
    auto client = connect();
    auto region = client.create("a", {.capacity = 16});
    ASSERT_TRUE(region);
    generation = region->info().generation;
  }
  EXPECT_TRUE(becomes("ActiveState", "inactive"));
  EXPECT_EQ(property("Result"), "success");
  EXPECT_EQ(property("NFileDescriptorStore"), "0");
  auto client = connect();
  auto region = client.create("a", {.capacity = 16, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(region) << region.error().text();
  EXPECT_GT(region->info().generation, generation) << "generations never go back";
}

TEST_F(Service, ARegionKeepsItRunning) {
  start("[Service]\nExecStart=\nExecStart=" + home() + "/memiod --exit-idle-time 1\n");
  {
    auto client = connect();
    ASSERT_TRUE(client.create("kept", {.capacity = 16, .lifetime = Lifetime::persistent}));
    ASSERT_TRUE(client.create("gone", {.capacity = 16}));
  }
  const auto pid = main_pid();
  // Long enough for a memiod that took itself for idle to end.
  const auto well_past = std::chrono::steady_clock::now() + std::chrono::seconds(4);
  while (std::chrono::steady_clock::now() < well_past) ASSERT_EQ(main_pid(), pid);
  EXPECT_TRUE(connect().open("kept", Access::read));
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// memiod starts in three ways, says what it does, and ends cleanly.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>

#include "memio/socket_path.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

constexpr auto memiod = MEMIOD_PATH;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

TEST(Lifecycle, ListensAtTheDefaultPathWithPrivateModes) {
  TemporaryDirectory runtime;
  Notifications notifications(runtime.path() + "/notify");
  auto process = Process::run(
      {memiod, "--log-level", "warning"},
      {{"XDG_RUNTIME_DIR", runtime.path()}, {"MEMIO_SOCKET", ""}, {"NOTIFY_SOCKET", notifications.path()}});
  ASSERT_TRUE(notifications.wait_for("READY=1"));
  EXPECT_EQ(mode_of(runtime.path() + "/memio"), 0700U);
  EXPECT_EQ(mode_of(runtime.path() + "/memio/io.memio"), 0600U);
  EXPECT_TRUE(Client::connect(runtime.path() + "/memio/io.memio"));
  process.signal(SIGTERM);
  EXPECT_TRUE(notifications.wait_for("STOPPING=1"));
  EXPECT_EQ(process.wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(runtime.path() + "/memio/io.memio"));
}

TEST(Lifecycle, TakesOverASocketThatSystemdOpened) {
  TemporaryDirectory runtime;
  const auto path = runtime.path() + "/io.memio";
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = socket_address(path);
  ASSERT_TRUE(address);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address), 0);
  ASSERT_EQ(::listen(socket.get(), 16), 0);
  // The client is there before the daemon, as with a real activation.
  auto client = Client::connect(path);
  ASSERT_TRUE(client);
  auto process = Process::fork([&] {
    constexpr int first_passed = 3;  // SD_LISTEN_FDS_START
    if (::dup2(socket.get(), first_passed) < 0 || ::fcntl(first_passed, F_SETFD, 0) != 0) return 1;
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::execl(memiod, memiod, "--log-level", "warning", nullptr);
    return 127;
  });
  EXPECT_TRUE(client->create("a", {.capacity = 16}));
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_TRUE(std::filesystem::exists(path)) << "a socket of systemd's is not memiod's to remove";
}

TEST(Lifecycle, TellsSystemdHowManyRegionsThereAre) {
  TemporaryDirectory runtime;
  Notifications notifications(runtime.path() + "/notify");
  const auto path = runtime.path() + "/s";
  auto process =
      Process::run({memiod, "--socket", path, "--log-level", "warning"}, {{"NOTIFY_SOCKET", notifications.path()}});
  ASSERT_TRUE(notifications.wait_for("READY=1"));
  auto client = Client::connect(path);
  ASSERT_TRUE(client);
  auto region = client->create("a", {.capacity = 16});
  ASSERT_TRUE(region);
  EXPECT_TRUE(notifications.wait_for("STATUS=1 regions, 1 connections"));
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

TEST(Lifecycle, GoesOnAndEndsWhileSystemdDoesNotReadWhatItIsTold) {
  TemporaryDirectory runtime;
  Notifications notifications(runtime.path() + "/notify");
  const auto path = runtime.path() + "/s";
  auto process =
      Process::run({memiod, "--socket", path, "--log-level", "warning"}, {{"NOTIFY_SOCKET", notifications.path()}});
  ASSERT_TRUE(notifications.wait_for("READY=1"));
  notifications.fill();
  auto client = Client::connect(path);
  ASSERT_TRUE(client);
  auto region = client->create("a", {.capacity = 16});
  // The state of things is due a quarter of a second after the first call.
  const auto well_past = std::chrono::steady_clock::now() + std::chrono::milliseconds(600);
  while (std::chrono::steady_clock::now() < well_past) ASSERT_TRUE(client->list());
  EXPECT_TRUE(notifications.wait_for("STATUS=1 regions, 1 connections")) << "told as soon as there is room";
  notifications.fill();
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

TEST(Lifecycle, TellsSystemdOfAReload) {
  TemporaryDirectory runtime;
  Notifications notifications(runtime.path() + "/notify");
  auto process = Process::run({memiod, "--socket", runtime.path() + "/s", "--log-level", "warning"},
                              {{"NOTIFY_SOCKET", notifications.path()}});
  ASSERT_TRUE(notifications.wait_for("READY=1"));
  process.signal(SIGHUP);
  const auto begins = notifications.receive().text;
  EXPECT_TRUE(begins.starts_with("RELOADING=1\nMONOTONIC_USEC=")) << begins;
  EXPECT_EQ(notifications.receive().text, "READY=1");
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

TEST(Lifecycle, ReplacesASocketThatADeadDaemonLeft) {
  TemporaryDirectory runtime;
  const auto path = runtime.path() + "/s";
  Notifications notifications(runtime.path() + "/notify");
  const Process::Environment environment = {{"NOTIFY_SOCKET", notifications.path()}};
  {
    auto process = Process::run({memiod, "--socket", path, "--log-level", "warning"}, environment);
    ASSERT_TRUE(notifications.wait_for("READY=1"));
    process.signal(SIGKILL);
    process.wait();
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  auto process = Process::run({memiod, "--socket", path, "--log-level", "warning"}, environment);
  ASSERT_TRUE(notifications.wait_for("READY=1"));
  EXPECT_TRUE(Client::connect(path));
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 0);
}

TEST_F(DaemonTest, ASecondDaemonAtTheSamePathEndsWithAnErrorAndHarmsNothing) {
  auto client = daemon_.connect();
  auto second = Process::run({memiod, "--socket", daemon_.socket_path(), "--log-level", "error"}, {}, true);
  EXPECT_EQ(second.wait(), 1);
  EXPECT_TRUE(client.list());
  EXPECT_TRUE(Client::connect(daemon_.socket_path()));
}

TEST(Lifecycle, RefusesAnUnknownOptionAndAnImpossiblePath) {
  EXPECT_NE(Process::run({memiod, "--frobnicate"}, {}, true).wait(), 0);
  EXPECT_EQ(Process::run({memiod, "--socket", "/nonexistent/directory/s", "--log-level", "error"}).wait(), 1);
  EXPECT_EQ(Process::run({memiod, "--socket", std::string(200, 'x'), "--log-level", "error"}).wait(), 1);
}

TEST_F(DaemonTest, ClientsLearnThatTheDaemonIsGoneAndTheirRegionsGoOn) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region);
  daemon_.kill();
  std::array<Event, 4> events;
  const auto told = client.wait(events, std::chrono::seconds(20));
  ASSERT_TRUE(told);
  ASSERT_EQ(*told, 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::disconnected);
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(client.list().error().code, Errc::disconnected);
  const std::byte one{1};
  EXPECT_TRUE(region->write({&one, 1}));
  EXPECT_EQ(region->read()->data()[0], one);
}

}  // namespace
}  // namespace memio::test

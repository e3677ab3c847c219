// SPDX-License-Identifier: MIT
#include "notifier.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "memio/socket_path.h"
#include "support/notifications.h"
#include "support/process.h"

namespace memio::broker {
namespace {

using testing::ElementsAre;

class NotifierTest : public testing::Test {
 protected:
  NotifierTest() { ::setenv("NOTIFY_SOCKET", manager_.path().c_str(), 1); }
  ~NotifierTest() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }

  // What the manager hears up to and with the message `last`, while the loop runs.
  std::vector<std::string> heard_until(const std::string& last) {
    std::vector<std::string> heard;
    auto reading = loop_.add_io(manager_.fd(), EPOLLIN, [&](std::uint32_t) {
      auto message = manager_.receive();
      if (message.text != "FULL=1") heard.push_back(message.text);
      fds_ += message.fds.size();
      if (message.text == last) loop_.exit(0);
    });
    EXPECT_EQ(loop_.run().value(), 0);
    return heard;
  }

  const test::TemporaryDirectory directory_;
  test::Notifications manager_{directory_.path() + "/notify"};
  EventLoop loop_ = std::move(*EventLoop::make());
  std::size_t fds_ = 0;  // that came with what was heard
};

TEST_F(NotifierTest, TellsInOrderAndLosesNothingWhenThereIsNoRoom) {
  Notifier notifier(loop_);
  ASSERT_TRUE(notifier.has_manager());
  manager_.fill();
  notifier.tell("READY=1");
  notifier.store("a", {STDIN_FILENO, STDERR_FILENO});
  notifier.tell_status("1 region");
  notifier.store("b", {STDIN_FILENO});
  notifier.forget("b");  // was never told
  notifier.tell_status("2 regions");
  notifier.tell("LAST=1");
  EXPECT_THAT(heard_until("LAST=1"),
              ElementsAre("READY=1", "FDSTORE=1\nFDPOLL=0\nFDNAME=a", "STATUS=2 regions", "LAST=1"));
  EXPECT_EQ(fds_, 2U);
}

TEST_F(NotifierTest, TakesBackWhatItHadStored) {
  Notifier notifier(loop_);
  notifier.store("a", {STDIN_FILENO});
  notifier.forget("a");
  EXPECT_THAT(heard_until("FDSTOREREMOVE=1\nFDNAME=a"),
              ElementsAre("FDSTORE=1\nFDPOLL=0\nFDNAME=a", "FDSTOREREMOVE=1\nFDNAME=a"));
}

TEST_F(NotifierTest, FindsAManagerThatWasStartedAnew) {
  Notifier notifier(loop_);
  notifier.tell("BEFORE=1");
  heard_until("BEFORE=1");
  ::unlink(manager_.path().c_str());
  manager_ = test::Notifications(directory_.path() + "/notify");
  notifier.tell("AFTER=1");
  EXPECT_EQ(manager_.receive().text, "AFTER=1");
}

TEST_F(NotifierTest, AnswersTheWatchdogAgainAndAgain) {
  ::setenv("WATCHDOG_USEC", "2000", 1);
  Notifier notifier(loop_);
  int answers = 0;
  auto reading = loop_.add_io(manager_.fd(), EPOLLIN, [&](std::uint32_t) {
    EXPECT_EQ(manager_.receive().text, "WATCHDOG=1");
    if (++answers == 3) loop_.exit(0);
  });
  EXPECT_EQ(loop_.run().value(), 0);
}

TEST_F(NotifierTest, KnowsAbstractSockets) {
  const std::string name = "@memio-test-" + std::to_string(::getpid());
  auto address = *socket_address(name);
  address.sun_path[0] = '\0';
  const UniqueFd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  ASSERT_EQ(::bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  Notifier(loop_).tell("STATUS=x");
  char buffer[16];
  EXPECT_EQ(::recv(manager.get(), buffer, sizeof buffer, MSG_DONTWAIT), 8);
}

TEST_F(NotifierTest, HasNobodyToTellWhereNobodyListens) {
  for (const char* nobody : {"/nonexistent/notify", "", "relative"}) {
    ::setenv("NOTIFY_SOCKET", nobody, 1);
    Notifier notifier(loop_);
    notifier.tell("READY=1");
    notifier.store("a", {STDIN_FILENO});
    notifier.forget("a");
  }
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(Notifier(loop_).has_manager());
}

}  // namespace
}  // namespace memio::broker

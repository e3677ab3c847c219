// SPDX-License-Identifier: MIT
#include "notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "memio/socket_path.h"
#include "memio/unique_fd.h"
#include "support/notifications.h"
#include "support/process.h"

namespace memio::broker {
namespace {

TEST(NotifyWithoutWaiting, TellsOrSaysThatThereIsNoRoom) {
  const test::TemporaryDirectory directory;
  test::Notifications manager(directory.path() + "/notify");
  ::setenv("NOTIFY_SOCKET", manager.path().c_str(), 1);
  EXPECT_TRUE(notify_without_waiting("READY=1\nSTATUS=x"));
  EXPECT_TRUE(manager.wait_for("STATUS=x"));
  manager.fill();
  EXPECT_FALSE(notify_without_waiting("STATUS=y"));
}

TEST(NotifyWithoutWaiting, KnowsAbstractSockets) {
  const std::string name = "@memio-test-" + std::to_string(::getpid());
  auto address = *socket_address(name);
  address.sun_path[0] = '\0';
  const UniqueFd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  ASSERT_EQ(::bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  EXPECT_TRUE(notify_without_waiting("STATUS=x"));
  char buffer[16];
  EXPECT_EQ(::recv(manager.get(), buffer, sizeof buffer, MSG_DONTWAIT), 8);
}

TEST(NotifyWithoutWaiting, HasNothingToTryAgainWhereNobodyListens) {
  for (const char* nobody : {"/nonexistent/notify", "", "relative"}) {
    ::setenv("NOTIFY_SOCKET", nobody, 1);
    EXPECT_TRUE(notify_without_waiting("STATUS=x")) << nobody;
  }
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify_without_waiting("STATUS=x"));
}

}  // namespace
}  // namespace memio::broker

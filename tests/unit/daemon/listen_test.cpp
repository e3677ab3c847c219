// SPDX-License-Identifier: MIT
#include "listen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "memio/socket_path.h"

namespace memio::broker {
namespace {

using testing::HasSubstr;

class ListenTest : public testing::Test {
 protected:
  std::string directory_ = std::filesystem::temp_directory_path() / "memio-listen.XXXXXX";
  void SetUp() override { ASSERT_NE(::mkdtemp(directory_.data()), nullptr); }
  // What is said against listening there.
  static std::string refusal(const std::string& path) {
    const auto socket = listen_at(path, false);
    return socket ? "nothing" : socket.error().text();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
};

TEST_F(ListenTest, MakesASocketOnlyItsOwnerCanUse) {
  const auto path = directory_ + "/sub/s";
  EXPECT_EQ(listen_at(path, false).error().system_errno, ENOENT);
  ASSERT_TRUE(listen_at(path, true));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(ListenTest, ListensAtABareName) {
  std::filesystem::current_path(directory_);
  const auto socket = listen_at("s", true);
  EXPECT_TRUE(socket) << socket.error().text();
  EXPECT_TRUE(std::filesystem::is_socket("s"));
}

TEST_F(ListenTest, ReplacesADeadSocketButNotALivingOneOrAFile) {
  const auto path = directory_ + "/s";
  {
    auto dead = listen_at(path, false);
    ASSERT_TRUE(dead);
  }
  auto living = listen_at(path, false);
  ASSERT_TRUE(living) << living.error().text();
  EXPECT_THAT(refusal(path), HasSubstr("daemon-test (process " + std::to_string(::getpid()) + ") listens at " + path));
  const auto file = directory_ + "/file";
  std::ofstream(file) << "precious";
  EXPECT_THAT(refusal(file), HasSubstr("is no socket"));
  EXPECT_EQ(std::filesystem::file_size(file), 8U);
}

TEST_F(ListenTest, SaysWhoHasThePath) {
  const auto path = directory_ + "/s";
  const auto address = *socket_address(path);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(datagrams.get(), generic, sizeof address), 0);
  EXPECT_THAT(refusal(path), HasSubstr("a socket of another kind"));
  ::unlink(path.c_str());

  const UniqueFd busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(busy.get(), generic, sizeof address), 0);
  ASSERT_EQ(::listen(busy.get(), 0), 0);
  const UniqueFd first(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ASSERT_EQ(::connect(first.get(), generic, sizeof address), 0);
  EXPECT_THAT(refusal(path), HasSubstr("does not take connections"));
}

TEST_F(ListenTest, RefusesPathsThatNoSocketCanHave) {
  EXPECT_FALSE(listen_at("", false));
  EXPECT_FALSE(listen_at(std::string(108, 'x'), false));
}

}  // namespace
}  // namespace memio::broker

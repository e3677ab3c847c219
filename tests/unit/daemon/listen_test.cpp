// SPDX-License-Identifier: MIT
#include "listen.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace memio::broker {
namespace {

class ListenTest : public testing::Test {
 protected:
  std::string directory_ = std::filesystem::temp_directory_path() / "memio-listen.XXXXXX";
  void SetUp() override { ASSERT_NE(::mkdtemp(directory_.data()), nullptr); }
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
  const auto second = listen_at(path, false);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text().find("another memiod listens"), std::string::npos);
}

TEST_F(ListenTest, RefusesPathsThatNoSocketCanHave) {
  EXPECT_FALSE(listen_at("", false));
  EXPECT_FALSE(listen_at(std::string(108, 'x'), false));
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "memio/socket_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>

namespace memio {
namespace {

using testing::HasSubstr;

// With the two variables as given; null: not set.
Result<std::string> default_with(const char* socket, const char* directory) {
  const auto set = [](const char* name, const char* value) {
    return value ? ::setenv(name, value, 1) : ::unsetenv(name);
  };
  EXPECT_EQ(set("MEMIO_SOCKET", socket), 0);
  EXPECT_EQ(set("XDG_RUNTIME_DIR", directory), 0);
  return default_socket_path();
}

TEST(DefaultSocketPath, IsWhatTheEnvironmentSays) {
  EXPECT_EQ(*default_with("/a/b", "/run/user/1"), "/a/b");
  EXPECT_EQ(*default_with("b", nullptr), "b");
  EXPECT_EQ(*default_with(nullptr, "/run/user/1"), "/run/user/1/memio/io.memio");
  EXPECT_EQ(*default_with("", "/run/user/1"), "/run/user/1/memio/io.memio");
}

TEST(DefaultSocketPath, IsNotGuessedIfTheEnvironmentDoesNotSay) {
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const auto path = default_with(unset, unset);
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code, Errc::system);
    EXPECT_THAT(path.error().text(), HasSubstr("neither MEMIO_SOCKET nor XDG_RUNTIME_DIR is set"));
  }
}

TEST(DefaultSocketPath, IsNotBelowARelativeDirectory) {
  const auto path = default_with(nullptr, "run/user/1");
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, Errc::system);
  EXPECT_THAT(path.error().text(), HasSubstr("XDG_RUNTIME_DIR is 'run/user/1', which is no absolute path"));
}

TEST(SocketAddress, HoldsThePath) {
  const std::string longest(107, 'x');
  for (const auto& path : {std::string("s"), longest}) {
    const auto address = socket_address(path);
    ASSERT_TRUE(address) << address.error().text();
    EXPECT_EQ(address->sun_family, AF_UNIX);
    EXPECT_EQ(address->sun_path, path);
  }
}

TEST(SocketAddress, SaysWhichPathDoesNotFit) {
  const std::string too_long = "/" + std::string(107, 'x');
  const auto address = socket_address(too_long);
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().code, Errc::system);
  EXPECT_THAT(address.error().text(), HasSubstr("1 to 107 bytes, and this one has 108: '" + too_long + "'"));
  EXPECT_THAT(socket_address("").error().text(), HasSubstr("this one has 0"));
}

}  // namespace
}  // namespace memio

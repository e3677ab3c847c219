// SPDX-License-Identifier: MIT
// The service's sandbox is as tight as it is said to be, and memiod works in it.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "service.h"

namespace memio::test {
namespace {

using Service = ServiceTest;

std::string read_file(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_F(Service, IsExposedLittle) {
  start();
  auto process = Process::run({"systemd-analyze", "--user", "security", "--threshold=15", "memiod.service"}, {}, true);
  const auto text = process.read_all();
  EXPECT_EQ(process.wait(), 0) << text;
  EXPECT_NE(text.find("Overall exposure level for memiod.service"), std::string::npos) << text;
}

TEST_F(Service, HasNoRightsAndSeesNothingOfOthers) {
  start();
  auto client = connect();
  ASSERT_TRUE(client.list());
  const auto process = "/proc/" + std::to_string(main_pid());
  const auto status = read_file(process + "/status");
  for (const char* line : {"CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"})
    EXPECT_NE(status.find(line), std::string::npos) << status;
  EXPECT_EQ(read_file(process + "/uid_map").find("4294967295"), std::string::npos) << "a user namespace of its own";
  struct stat ours {};
  struct stat its {};
  ASSERT_EQ(::stat("/proc/self/ns/net", &ours), 0);
  ASSERT_EQ(::stat((process + "/ns/net").c_str(), &its), 0);
  EXPECT_NE(ours.st_ino, its.st_ino) << "a network of its own";
  const auto mounts = read_file(process + "/mountinfo");
  EXPECT_NE(mounts.find(" / / ro,"), std::string::npos) << mounts;
  EXPECT_NE(mounts.find("/tmp /tmp rw"), std::string::npos) << mounts;
  EXPECT_NE(mounts.find(" /proc/sys ro,"), std::string::npos) << mounts;
}

// The unit's user namespace hides who they are. So memiod says what to do, rather than leave a policy without effect.
TEST_F(Service, APolicyForOtherUsersNeedsThemToBeToldApart) {
  std::filesystem::create_directories(home() + "/.config/memio");
  std::ofstream(home() + "/.config/memio/memiod.conf")
      << R"({"policy": {")" << ::geteuid() + 1 << R"(": {"grants": []}}})";
  start("[Service]\nRestart=no\n");
  EXPECT_NE(Process::run({"systemctl", "--user", "start", "memiod.service"}).wait(), 0);
  EXPECT_TRUE(becomes([] { return !logged("cannot be kept: .* PrivateUsers=no").empty(); }));
  systemctl({"reset-failed"});
  start("[Service]\nPrivateUsers=no\n");
  EXPECT_TRUE(connect().list());
}

// Every kind of region, since each is made with system calls of its own.
TEST_F(Service, WorksInItsSandbox) {
  start();
  auto client = connect();
  for (const RegionOptions& options :
       {RegionOptions{.capacity = 64}, RegionOptions{.capacity = 64, .slots = 1},
        RegionOptions{.capacity = 64, .exclusive = true}, RegionOptions{.capacity = 4 << 20, .huge_pages = true},
        RegionOptions{.capacity = 64, .shrink_after = std::chrono::milliseconds(10)}}) {
    auto region = client.create("a", options);
    ASSERT_TRUE(region) << region.error().text();
    const std::byte one{1};
    ASSERT_TRUE(region->write({&one, 1}));
    auto reader = client.open("a", Access::read);
    ASSERT_TRUE(reader) << reader.error().text();
    EXPECT_EQ(reader->read()->data()[0], one);
    ASSERT_TRUE(client.remove("a"));
  }
  EXPECT_EQ(logged("[Pp]ermission|not permitted"), "");
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Ten thousand regions and a thousand sessions: what memiod needs for them, and that nothing is left afterwards.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iostream>

#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

class Scale : public testing::Test {
 protected:
  Daemon daemon_;
  Client client_ = daemon_.connect();

  // 10,000, or as many as the hard limit of descriptors allows, which only root can raise: memiod has three for a
  // region.
  static std::uint64_t many_regions(std::uint64_t sessions) {
    constexpr rlim_t wanted = 10'000;
    const auto others = 2 * sessions + 1000;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return std::min(wanted, (limit.rlim_max - others) / 3) / sessions * sessions;
  }

  // Of /proc/PID/status, in bytes.
  std::uint64_t memory(const std::string& field) const {
    std::ifstream status("/proc/" + std::to_string(daemon_.pid()) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
    throw std::runtime_error("no " + field);
  }
  std::uint64_t value(const std::string& name) {
    const auto families = client_.metrics();
    for (const auto& family : *families)
      if (family.name == name) return family.samples.at(0).value;
    throw std::runtime_error("no " + name);
  }
};

// The pages of the regions themselves, which memiod has mapped, are RssShmem.
TEST_F(Scale, TenThousandRegionsAndAThousandSessions) {
  constexpr std::uint64_t sessions = 1'000;
  const auto regions = many_regions(sessions);
  ASSERT_GE(regions, sessions) << "raise the limit of descriptors (ulimit -Hn)";
  ASSERT_TRUE(client_.list());  // our own connection has been taken then
  const auto fds_before = daemon_.open_fds();
  const auto before = memory("RssAnon");
  std::vector<std::optional<RawConnection>> connections(sessions);
  for (std::uint64_t i = 0; i < sessions; ++i) {
    auto& connection = connections[i].emplace(daemon_.socket_path());
    for (std::uint64_t each = 0; each < regions / sessions; ++each)
      ASSERT_EQ(connection
                    .ask(R"({"method":"io.memio.Create","parameters":{"name":"region)" +
                         std::to_string(i * (regions / sessions) + each) + R"(","capacity":64}})")
                    ->error,
                "");
  }
  const auto own = memory("RssAnon") + memory("RssFile");
  std::cout << regions << " regions: memiod has " << own / 1024 << " KiB beside the regions' pages, "
            << (memory("RssAnon") - before) / 1024 << " KiB of them for the regions and sessions\n";
  constexpr std::uint64_t of_ten_thousand = std::uint64_t{64} << 20;
#ifndef MEMIO_SANITIZED  // sanitizers keep shadows of all memory
  EXPECT_LE(own, of_ten_thousand * regions / 10'000);
#endif
  // What a long answer takes is given back soon; and from now on every region is followed, too.
  EXPECT_EQ(value("memio_regions"), regions);
#ifndef MEMIO_SANITIZED
  for (int i = 0; i < 1'000'000 && memory("RssAnon") > before + of_ten_thousand * regions / 10'000; ++i)
    ASSERT_TRUE(client_.stat("region0"));
  EXPECT_LE(memory("RssAnon"), before + of_ten_thousand * regions / 10'000);
#endif
  connections.clear();
  for (int i = 0; i < 100'000 && client_.list_sessions()->size() != 1; ++i) {
  }
  EXPECT_EQ(value("memio_regions"), 0U);
  EXPECT_EQ(value("memio_user_region_bytes"), 0U);
  EXPECT_EQ(value("memio_user_handles"), 0U);
  EXPECT_EQ(daemon_.open_fds(), fds_before);
}

}  // namespace
}  // namespace memio::test

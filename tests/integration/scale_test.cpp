// SPDX-License-Identifier: MIT
// Ten thousand regions and a thousand sessions: what memiod needs for them, and that nothing is left afterwards.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <iostream>

#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

// What memiod, started after this, may have: three descriptors for a region, one or two for a session. Only root can
// raise a limit that is lower.
bool raise_descriptor_limit() {
  constexpr rlim_t needed = 40'000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= needed) return true;
  limit = {.rlim_cur = limit.rlim_cur, .rlim_max = needed};
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

class Scale : public testing::Test {
 protected:
  bool possible_ = raise_descriptor_limit();
  Daemon daemon_;
  Client client_ = daemon_.connect();

  void SetUp() override {
    if (!possible_) GTEST_SKIP() << "no process here may have 40,000 descriptors open (ulimit -Hn)";
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
  constexpr int regions = 10'000;
  constexpr int sessions = 1'000;
  const auto fds_before = daemon_.open_fds();
  const auto before = memory("RssAnon");
  std::vector<std::optional<RawConnection>> connections(sessions);
  for (int i = 0; i < sessions; ++i) {
    auto& connection = connections[static_cast<std::size_t>(i)].emplace(daemon_.socket_path());
    for (int each = 0; each < regions / sessions; ++each)
      ASSERT_EQ(connection
                    .ask(R"({"method":"io.memio.Create","parameters":{"name":"region)" +
                         std::to_string(i * (regions / sessions) + each) + R"(","capacity":64}})")
                    ->error,
                "");
  }
  // Metrics is asked for: from now on every region is followed, too.
  EXPECT_EQ(value("memio_regions"), static_cast<std::uint64_t>(regions));
  const auto own = memory("RssAnon") + memory("RssFile");
  std::cout << "memiod has " << own / 1024 << " KiB beside the regions' pages, " << (memory("RssAnon") - before) / 1024
            << " KiB of them for the regions and sessions\n";
#ifndef MEMIO_SANITIZED  // sanitizers keep shadows of all memory
  EXPECT_LE(own, std::uint64_t{64} << 20);
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

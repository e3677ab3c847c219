// SPDX-License-Identifier: MIT
// Ten thousand regions and a thousand sessions: what memiod needs for them, and that nothing is left afterwards.

#include <gtest/gtest.h>

#include <iostream>
#include <optional>

#include "support/crowd.h"
#include "support/daemon.h"
#include "support/process_use.h"

namespace memio::test {
namespace {

constexpr std::uint64_t sessions = 1'000;

class Scale : public testing::Test {
 protected:
  // Before memiod is started, which has the limit of descriptors from us.
  const std::uint64_t regions_each_ = room_for_regions(10'000, sessions) / sessions;
  const std::uint64_t regions_ = regions_each_ * sessions;
  Daemon daemon_;
  Client client_ = daemon_.connect();

  std::uint64_t value(const std::string& name) {
    const auto families = client_.metrics();
    for (const auto& family : *families)
      if (family.name == name) return family.samples.at(0).value;
    throw std::runtime_error("no " + name);
  }
};

TEST_F(Scale, TenThousandRegionsAndAThousandSessions) {
  ASSERT_GE(regions_each_, 1U) << "raise the limit of descriptors (ulimit -Hn)";
  ASSERT_TRUE(client_.list());  // our own connection has been taken then
  const auto before = use_of(daemon_.pid());
  auto crowd = std::make_optional<Crowd>(daemon_.socket_path(), sessions, regions_each_);
  EXPECT_EQ(value("memio_regions"), regions_);
#ifndef MEMIO_SANITIZED  // sanitizers keep shadows of all memory
  const auto allowed = (std::uint64_t{64} << 20) * regions_ / 10'000;
  // What a long answer takes is given back soon; and from now on every region is followed, too.
  for (int i = 0; i < 1'000'000 && use_of(daemon_.pid()).own > allowed; ++i)
    ASSERT_TRUE(client_.stat(Crowd::first_region));
  const auto own = use_of(daemon_.pid()).own;
  std::cout << regions_ << " regions: memiod has " << own / 1024 << " KiB beside the regions' pages, "
            << (own - before.own) / 1024 << " KiB of them for the regions and sessions\n";
  EXPECT_LE(own, allowed);
#endif
  crowd.reset();
  for (int i = 0; i < 100'000 && client_.list_sessions()->size() != 1; ++i) {
  }
  EXPECT_EQ(value("memio_regions"), 0U);
  EXPECT_EQ(value("memio_user_region_bytes"), 0U);
  EXPECT_EQ(value("memio_user_handles"), 0U);
  EXPECT_EQ(daemon_.open_fds(), before.descriptors);
}

}  // namespace
}  // namespace memio::test

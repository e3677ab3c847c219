// SPDX-License-Identifier: MIT
// Attach takes over what a client shows: only what can be a region, and never what belongs to another.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memio/region_format.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

constexpr std::uint32_t cells = 16;

UniqueFd make_memfd(std::uint64_t size, bool sealed) {
  UniqueFd fd(::memfd_create("shown", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  if (sealed) {
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  }
  return fd;
}

class Attach : public DaemonTest {
 protected:
  Geometry geometry_ = *Geometry::make(Layout::memio64, 4, 100);
  UniqueFd region_ = make_memfd(geometry_.total_size(), true);
  UniqueFd leases_ = make_memfd(format::lease_table_size(cells), true);
  UniqueFd doorbell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  RawConnection raw_{daemon_.socket_path()};

  void SetUp() override {
    format::Directory directory{};
    format::initialise_directory(directory, geometry_);
    ASSERT_EQ(::pwrite(region_.get(), &directory, sizeof directory, static_cast<off_t>(geometry_.directory_offset())),
              static_cast<ssize_t>(sizeof directory));
    write_cells_used(3);
  }
  void write_cells_used(std::uint32_t used) const {
    ASSERT_EQ(::pwrite(leases_.get(), &used, sizeof used, offsetof(format::LeaseTable, cells_used)),
              static_cast<ssize_t>(sizeof used));
  }

  // Attaches with `changes` made to a call that is right.
  Reply attach(const Json& changes, const std::vector<int>& fds) {
    Json parameters = {{"name", "shown"},
                       {"capacity", 100},
                       {"slots", 4},
                       {"layout", "memio64"},
                       {"lifetime", "linger"},
                       {"exclusive", false},
                       {"hugePages", false},
                       {"access", "write"},
                       {"creator", true},
                       {"cell", 1},
                       {"cells", cells},
                       {"regionFileDescriptor", 0},
                       {"leasesFileDescriptor", 1},
                       {"doorbellFileDescriptor", 2}};
    if (changes.is_object()) parameters.update(changes);
    return raw_.ask(Json{{"method", "io.memio.Attach"}, {"parameters", parameters}}.dump(), fds).value();
  }
  [[nodiscard]] std::vector<int> right_fds() const { return {region_.get(), leases_.get(), doorbell_.get()}; }
  void TearDown() override { EXPECT_TRUE(daemon_.connect().list()); }
};

TEST_F(Attach, ARegionThatNobodyKnowsIsTakenOver) {
  const auto reply = attach({}, right_fds());
  EXPECT_EQ(reply.error, "") << reply.parameters;
  EXPECT_EQ(reply.parameters["region"]["handles"], 1);
  EXPECT_TRUE(daemon_.connect().open("shown", Access::write));
}

TEST_F(Attach, ACellCanBeClaimedOnce) {
  EXPECT_EQ(attach({}, right_fds()).error, "");
  EXPECT_EQ(attach({}, right_fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cell", 2}}, right_fds()).error, "");
  for (const auto cell : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{cells}, ~std::uint64_t{0}})
    EXPECT_EQ(attach({{"cell", cell}}, right_fds()).error, "io.memio.NotTheRegion") << cell;
}

TEST_F(Attach, OtherMemoryUnderAKnownNameIsRefused) {
  EXPECT_EQ(attach({}, right_fds()).error, "");
  const auto other = make_memfd(geometry_.total_size(), true);
  EXPECT_EQ(attach({{"cell", 2}}, {other.get(), leases_.get(), doorbell_.get()}).error, "io.memio.NotTheRegion");
}

TEST_F(Attach, WhatCannotBeARegionIsRefused) {
  const auto unsealed = make_memfd(geometry_.total_size(), false);
  const auto empty = make_memfd(geometry_.total_size(), true);
  const auto small = make_memfd(4096, true);
  UniqueFd file(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  for (const int wrong : {unsealed.get(), empty.get(), small.get(), file.get(), doorbell_.get(), raw_.fd()})
    EXPECT_EQ(attach({}, {wrong, leases_.get(), doorbell_.get()}).error, "io.memio.NotTheRegion") << wrong;
  for (const int wrong : {unsealed.get(), small.get(), file.get(), doorbell_.get()})
    EXPECT_EQ(attach({}, {region_.get(), wrong, doorbell_.get()}).error, "io.memio.NotTheRegion") << wrong;
  for (const int wrong : {unsealed.get(), file.get(), raw_.fd()})
    EXPECT_EQ(attach({}, {region_.get(), leases_.get(), wrong}).error, "io.memio.NotTheRegion") << wrong;
}

TEST_F(Attach, WrongNumbersAreRefused) {
  EXPECT_EQ(attach({{"capacity", 0}}, right_fds()).error, "io.memio.InvalidCapacity");
  EXPECT_EQ(attach({{"capacity", 100'000}}, right_fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"slots", 65}}, right_fds()).error, "io.memio.InvalidSlots");
  EXPECT_EQ(attach({{"slots", 3}}, right_fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cells", 1}}, right_fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cells", ~std::uint64_t{0}}}, right_fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"name", "a b"}}, right_fds()).error, "io.memio.InvalidName");
  for (const auto place : {std::uint64_t{1}, std::uint64_t{3}, ~std::uint64_t{0}})
    EXPECT_EQ(attach({{"regionFileDescriptor", place}}, right_fds()).error, "io.memio.NotTheRegion") << place;
  EXPECT_EQ(attach({}, {}).error, "io.memio.NotTheRegion");
}

TEST_F(Attach, AnAbsurdNumberOfCellsInUseHarmsNothing) {
  write_cells_used(~0U);
  EXPECT_EQ(attach({}, right_fds()).error, "");
}

TEST_F(Attach, AScopedConnectionCannotSmuggleARegionIn) {
  auto client = daemon_.connect();
  const auto socket = client.open_connection(std::vector<Grant>{{"shown", {Right::read, Right::write}}});
  RawConnection scoped(UniqueFd(::dup(socket->get())));
  std::swap(raw_, scoped);
  EXPECT_EQ(attach({}, right_fds()).error, "io.memio.PermissionDenied");
}

TEST_F(Attach, NobodyCanSealALeaseTableAgainstOthers) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  const auto reply = raw_.ask(R"({"method":"io.memio.Open","parameters":{"name":"a","access":"read"}})");
  ASSERT_TRUE(reply);
  // The same as a hostile opener: every memory file it has.
  for (int fd = 3; fd < 64; ++fd) ::fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
  auto other = daemon_.connect();
  EXPECT_TRUE(other.open("a", Access::write)) << "somebody sealed it";
}

}  // namespace
}  // namespace memio::test

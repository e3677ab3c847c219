// SPDX-License-Identifier: MIT
// Attach takes over what a client shows: only what can be a region, and never what belongs to another.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/daemon.h"
#include "support/raw_connection.h"
#include "support/shown_region.h"

namespace memio::test {
namespace {

class Attach : public DaemonTest {
 protected:
  ShownRegion shown_;
  RawConnection raw_{daemon_.socket_path()};

  // Attaches with `changes` made to a call that is right.
  Reply attach(const Json& changes, const std::vector<int>& fds) {
    return raw_.ask(ShownRegion::call(changes), fds).value();
  }
  void TearDown() override { EXPECT_TRUE(daemon_.connect().list()); }
};

TEST_F(Attach, ARegionThatNobodyKnowsIsTakenOver) {
  const auto reply = attach({}, shown_.fds());
  EXPECT_EQ(reply.error, "") << reply.parameters;
  EXPECT_EQ(reply.parameters["region"]["handles"], 1);
  EXPECT_TRUE(daemon_.connect().open("shown", Access::write));
}

TEST_F(Attach, ACellCanBeClaimedOnce) {
  EXPECT_EQ(attach({}, shown_.fds()).error, "");
  EXPECT_EQ(attach({}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cell", 2}}, shown_.fds()).error, "");
  for (const auto cell : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{ShownRegion::cells}, ~std::uint64_t{0}})
    EXPECT_EQ(attach({{"cell", cell}}, shown_.fds()).error, "io.memio.NotTheRegion") << cell;
}

TEST_F(Attach, AClaimThatFailsLeavesNothingBehind) {
  EXPECT_EQ(attach({{"cell", 0}, {"lifetime", "persistent"}}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_TRUE(daemon_.connect().list()->empty());
  EXPECT_EQ(attach({}, shown_.fds()).error, "");
}

TEST_F(Attach, OtherMemoryUnderAKnownNameIsRefused) {
  EXPECT_EQ(attach({}, shown_.fds()).error, "");
  const auto other = make_memfd(shown_.geometry.total_size(), true);
  EXPECT_EQ(attach({{"cell", 2}}, {other.get(), shown_.leases.get(), shown_.doorbell.get()}).error,
            "io.memio.NotTheRegion");
}

TEST_F(Attach, WhatCannotBeARegionIsRefused) {
  const auto unsealed = make_memfd(shown_.geometry.total_size(), false);
  const auto empty = make_memfd(shown_.geometry.total_size(), true);
  const auto small = make_memfd(4096, true);
  UniqueFd file(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  for (const int wrong : {unsealed.get(), empty.get(), small.get(), file.get(), shown_.doorbell.get(), raw_.fd()})
    EXPECT_EQ(attach({}, {wrong, shown_.leases.get(), shown_.doorbell.get()}).error, "io.memio.NotTheRegion") << wrong;
  for (const int wrong : {unsealed.get(), small.get(), file.get(), shown_.doorbell.get()})
    EXPECT_EQ(attach({}, {shown_.region.get(), wrong, shown_.doorbell.get()}).error, "io.memio.NotTheRegion") << wrong;
  for (const int wrong : {unsealed.get(), file.get(), raw_.fd()})
    EXPECT_EQ(attach({}, {shown_.region.get(), shown_.leases.get(), wrong}).error, "io.memio.NotTheRegion") << wrong;
}

TEST_F(Attach, WrongNumbersAreRefused) {
  EXPECT_EQ(attach({{"capacity", 0}}, shown_.fds()).error, "io.memio.InvalidCapacity");
  EXPECT_EQ(attach({{"capacity", 100'000}}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"slots", 65}}, shown_.fds()).error, "io.memio.InvalidSlots");
  EXPECT_EQ(attach({{"slots", 3}}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cells", 1}}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cells", ~std::uint64_t{0}}}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"name", "a b"}}, shown_.fds()).error, "io.memio.InvalidName");
  for (const auto place : {std::uint64_t{1}, std::uint64_t{3}, ~std::uint64_t{0}})
    EXPECT_EQ(attach({{"regionFileDescriptor", place}}, shown_.fds()).error, "io.memio.NotTheRegion") << place;
  EXPECT_EQ(attach({}, {}).error, "io.memio.NotTheRegion");
}

TEST_F(Attach, AnAbsurdNumberOfCellsInUseHarmsNothing) {
  shown_.write_cells_used(~0U);
  EXPECT_EQ(attach({}, shown_.fds()).error, "");
}

TEST_F(Attach, AScopedConnectionCannotSmuggleARegionIn) {
  auto client = daemon_.connect();
  const auto socket = client.open_connection(std::vector<Grant>{{"shown", {Right::read, Right::write}}});
  RawConnection scoped(UniqueFd(::dup(socket->get())));
  std::swap(raw_, scoped);
  EXPECT_EQ(attach({}, shown_.fds()).error, "io.memio.PermissionDenied");
}

TEST_F(Attach, MemoryThatMemiodHasIsNotTakenOverUnderAnotherName) {
  EXPECT_EQ(attach({}, shown_.fds()).error, "");
  EXPECT_EQ(attach({{"name", "other"}, {"cell", 2}}, shown_.fds()).error, "io.memio.NotTheRegion");
  EXPECT_EQ(attach({{"cell", 2}}, shown_.fds()).error, "") << "it is found by its own";
}

// As one to whom it was passed on: it shows the lease table that came with the handle, and nobody else has locked the
// cell.
TEST_F(Attach, WithoutARightByItsNameARegionIsForTheOneWhoseCellItIs) {
  EXPECT_EQ(attach({}, shown_.fds()).error, "");
  auto client = daemon_.connect();
  RawConnection scoped(*client.open_connection(std::vector<Grant>{}));
  const auto claim = [&] { return scoped.ask(ShownRegion::call({{"cell", 2}}), shown_.fds())->error; };
  EXPECT_EQ(claim(), "io.memio.PermissionDenied");
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_start = 2;
  lock.l_len = 1;
  const UniqueFd others(::open(("/proc/self/fd/" + std::to_string(shown_.leases.get())).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::fcntl(others.get(), F_OFD_SETLK, &lock), 0);
  EXPECT_EQ(claim(), "io.memio.PermissionDenied") << "it is another's";
  ASSERT_EQ(::fcntl(shown_.leases.get(), F_OFD_SETLK, &lock), 0);
  EXPECT_EQ(claim(), "io.memio.PermissionDenied") << "or may be";
  lock.l_type = F_UNLCK;
  ASSERT_EQ(::fcntl(others.get(), F_OFD_SETLK, &lock), 0);
  EXPECT_EQ(claim(), "");
  EXPECT_EQ(client.stat("shown")->region.handles, 2U);
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

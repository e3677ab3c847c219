// SPDX-License-Identifier: MIT
#include "attachments.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "test_registry.h"

namespace memio::broker {
namespace {

class AttachmentsTest : public testing::Test {
 protected:
  Limits limits_;
  TestRegistry registry_{limits_};

  std::shared_ptr<Region> create(const std::string& name, bool exclusive = false) {
    return *registry_.create({.name = name, .capacity = 1, .exclusive = exclusive});
  }
  static UniqueFd memory_of(const Region& region, Access access) { return std::move(region.fds_for(access)->region); }
  static UniqueFd some_fd() { return UniqueFd(::eventfd(0, EFD_CLOEXEC)); }
  Result<Attachments> take(std::optional<std::vector<std::uint64_t>> places, std::vector<UniqueFd> fds) {
    return take_attachments(registry_, registry_.payer(), places, fds);
  }
  template <class... Fds>
  static std::vector<UniqueFd> list(Fds... fds) {
    std::vector<UniqueFd> all;
    (all.push_back(std::move(fds)), ...);
    return all;
  }
};

TEST_F(AttachmentsTest, ARegionIsKnownByItsFileAndOpenedAsTheDescriptorIs) {
  const auto region = create("a");
  const auto taken = take(std::vector<std::uint64_t>{2, 0, 1},
                          list(memory_of(*region, Access::write), some_fd(), memory_of(*region, Access::read)));
  ASSERT_TRUE(taken) << taken.error().text();
  ASSERT_EQ(taken->items.size(), 3U);
  EXPECT_EQ(taken->items[0].region, region);
  EXPECT_EQ(taken->items[0].access, Access::read);
  EXPECT_EQ(taken->items[1].region, region);
  EXPECT_EQ(taken->items[1].access, Access::write);
  EXPECT_FALSE(taken->items[2].region);
  EXPECT_TRUE(taken->items[2].fd.valid());
  EXPECT_EQ(taken->fd_count(), 7U);
  EXPECT_EQ(registry_.payer().used(Resource::fds), 1U) << "only what is kept";
}

TEST_F(AttachmentsTest, AnExclusiveRegionIsForReading) {
  const auto region = create("a", true);
  const auto taken = take(std::vector<std::uint64_t>{0}, list(memory_of(*region, Access::write)));
  EXPECT_EQ(taken->items[0].access, Access::read);
}

TEST_F(AttachmentsTest, ARegionThatWasRemovedIsStillOne) {
  const auto region = create("a");
  registry_.remove(region);
  EXPECT_EQ(take(std::vector<std::uint64_t>{0}, list(memory_of(*region, Access::read)))->items[0].region, region);
}

TEST_F(AttachmentsTest, ItsLeaseTableIsNoRegion) {
  const auto region = create("a");
  const auto taken = take(std::vector<std::uint64_t>{0}, list(std::move(region->fds_for(Access::read)->leases)));
  EXPECT_FALSE(taken->items[0].region);
}

TEST_F(AttachmentsTest, EachDescriptorHasAPlaceAndEachPlaceADescriptor) {
  EXPECT_TRUE(take(std::nullopt, {}));
  EXPECT_EQ(take(std::vector<std::uint64_t>{0, 1}, list(some_fd())).error().message, "fileDescriptors[1]");
  EXPECT_EQ(take(std::vector<std::uint64_t>{0, 0}, list(some_fd(), some_fd())).error().message, "fileDescriptors[1]");
  EXPECT_EQ(take(std::vector<std::uint64_t>{0, 1}, list(some_fd(), UniqueFd())).error().message, "fileDescriptors[1]")
      << "where a socket was";
  EXPECT_EQ(take(std::vector<std::uint64_t>{~std::uint64_t{0}}, list(some_fd())).error().code, Errc::invalid_parameter);
  EXPECT_EQ(take(std::vector<std::uint64_t>{0}, list(some_fd(), some_fd())).error().code,
            Errc::unexpected_file_descriptors);
  EXPECT_EQ(take(std::nullopt, list(some_fd())).error().code, Errc::unexpected_file_descriptors);
}

TEST_F(AttachmentsTest, FiveRegionsAndOneDescriptorAreTheMost) {
  const auto region = create("a");
  std::vector<UniqueFd> fds;
  std::vector<std::uint64_t> places;
  for (std::uint64_t i = 0; i < 5; ++i) {
    fds.push_back(memory_of(*region, Access::read));
    places.push_back(i);
  }
  fds.push_back(some_fd());
  places.push_back(5);
  EXPECT_EQ(take_attachments(registry_, registry_.payer(), places, fds)->fd_count(), 16U);
  fds = list(memory_of(*region, Access::read), memory_of(*region, Access::read), memory_of(*region, Access::read),
             memory_of(*region, Access::read), memory_of(*region, Access::read), memory_of(*region, Access::read));
  EXPECT_EQ(take_attachments(registry_, registry_.payer(), places, fds).error().code, Errc::limit_exceeded);
  fds.clear();
  places.clear();
  for (std::uint64_t i = 0; i < 17; ++i) {
    fds.push_back(some_fd());
    places.push_back(i);
  }
  EXPECT_EQ(take_attachments(registry_, registry_.payer(), places, fds).error().code, Errc::limit_exceeded);
  EXPECT_EQ(registry_.payer().used(Resource::fds), 0U);
}

}  // namespace
}  // namespace memio::broker

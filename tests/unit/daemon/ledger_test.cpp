// SPDX-License-Identifier: MIT
#include "ledger.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace memio::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

RegionRecord record(const std::string& name, std::uint64_t generation) {
  RegionRecord made{.spec = {.name = name,
                             .geometry = *Geometry::make(Layout::memio24, 3, 100, true),
                             .lifetime = protocol::Lifetime::linger,
                             .generation = generation,
                             .cells = 100,
                             .exclusive = true,
                             .shrink_after = std::chrono::milliseconds(50)},
                    .region_inode = 11,
                    .leases_inode = 12,
                    .taken = std::vector<bool>(100),
                    .creator_cell = 1,
                    .owner = 1000};
  made.taken[1] = made.taken[99] = true;
  return made;
}

// As the next memiod gets it, after this one was killed.
Result<Ledger> read_again(const Ledger& ledger) {
  return Ledger::read(UniqueFd(::fcntl(ledger.fd(), F_DUPFD_CLOEXEC, 0)));
}

TEST(Ledger, TellsTheNextMemiodWhatItWasTold) {
  auto ledger = Ledger::make();
  ASSERT_TRUE(ledger) << ledger.error().text();
  const std::string longest(200, 'x');
  const auto index = ledger->add(record(longest, 7));
  ASSERT_TRUE(index);
  ledger->raise_generation(7);
  ledger->raise_generation(3);
  ledger->set_taken(*index, 64, true);
  ledger->set_taken(*index, 99, false);
  ledger->set_creator_cell(*index, 0);
  ledger->set_nameless(*index);
  ledger->set_unused_since(*index, std::chrono::microseconds(1234));
  const auto next = read_again(*ledger);
  ASSERT_TRUE(next) << next.error().text();
  EXPECT_EQ(next->last_generation(), 7U);
  ASSERT_THAT(next->indices(), ElementsAre(*index));
  const auto found = next->get(*index);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->spec.name, longest);
  EXPECT_EQ(found->spec.geometry, record(longest, 7).spec.geometry);
  EXPECT_EQ(found->spec.lifetime, protocol::Lifetime::linger);
  EXPECT_EQ(found->spec.generation, 7U);
  EXPECT_TRUE(found->spec.exclusive);
  EXPECT_EQ(found->spec.shrink_after, std::chrono::milliseconds(50));
  EXPECT_EQ(found->region_inode, 11U);
  EXPECT_EQ(found->leases_inode, 12U);
  EXPECT_EQ(found->creator_cell, 0U);
  EXPECT_EQ(found->owner, 1000U);
  EXPECT_TRUE(found->nameless);
  EXPECT_EQ(found->unused_since, std::chrono::microseconds(1234));
  std::vector<bool> taken(100);
  taken[1] = taken[64] = true;
  EXPECT_EQ(found->taken, taken);
}

TEST(Ledger, GrowsAndUsesFreedPlacesAgain) {
  auto ledger = *Ledger::make();
  constexpr std::uint64_t many = 1000;
  std::vector<Ledger::Index> indices;
  for (std::uint64_t i = 0; i < many; ++i) indices.push_back(ledger.add(record("r" + std::to_string(i), i)).value());
  EXPECT_THAT(ledger.indices(), SizeIs(many));
  EXPECT_EQ(read_again(ledger)->get(indices[777])->spec.name, "r777");
  ledger.erase(indices[500]);
  EXPECT_THAT(read_again(ledger)->indices(), SizeIs(many - 1));
  auto next = *read_again(ledger);
  EXPECT_EQ(next.add(record("again", 1)).value(), indices[500]);
  EXPECT_FALSE(next.get(indices[500])->nameless) << "nothing of the one before is left";
}

TEST(Ledger, ARecordFromBeforeOwnersWereKeptHasNone) {
  auto ledger = *Ledger::make();
  const auto roots = [] {
    auto made = record("a", 1);
    made.owner = 0;
    return made;
  }();
  const auto index = ledger.add(roots).value();
  EXPECT_EQ(ledger.get(index)->owner, 0U) << "root is somebody";
  constexpr off_t owner = 4096 + 272;
  const std::uint32_t zero = 0;
  ASSERT_EQ(::pwrite(ledger.fd(), &zero, sizeof zero, owner), static_cast<ssize_t>(sizeof zero));
  EXPECT_EQ(ledger.get(index)->owner, std::nullopt);
}

TEST(Ledger, OneOfAnotherVersionIsRefusedAndSaysSo) {
  const auto ledger = *Ledger::make();
  const std::uint32_t later = 2;
  ASSERT_EQ(::pwrite(ledger.fd(), &later, sizeof later, 8), static_cast<ssize_t>(sizeof later));
  const auto next = read_again(ledger);
  ASSERT_FALSE(next);
  EXPECT_THAT(next.error().text(), HasSubstr("version 2"));
  EXPECT_THAT(next.error().text(), HasSubstr("reads version 1"));
}

TEST(Ledger, WhatIsNoneIsRefused) {
  UniqueFd empty(::memfd_create("x", MFD_CLOEXEC));
  EXPECT_THAT(Ledger::read(std::move(empty)).error().text(), HasSubstr("wrong size"));
  UniqueFd zeros(::memfd_create("x", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(zeros.get(), 4096 + 1024), 0);
  EXPECT_THAT(Ledger::read(std::move(zeros)).error().text(), HasSubstr("does not begin as one"));
  EXPECT_THAT(Ledger::read(UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC))).error().text(),
              HasSubstr("no memory file"));
}

TEST(Ledger, ARecordThatCannotBeTrueIsRefused) {
  auto ledger = *Ledger::make();
  const auto index = ledger.add(record("a", 1)).value();
  constexpr off_t slots = 4096 + 56;
  const std::uint32_t absurd = 65;
  ASSERT_EQ(::pwrite(ledger.fd(), &absurd, sizeof absurd, slots), static_cast<ssize_t>(sizeof absurd));
  EXPECT_FALSE(ledger.get(index));
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "doorbells.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "test_registry.h"

namespace memio::broker {
namespace {

class DoorbellsTest : public testing::Test {
 protected:
  Limits limits_;
  EventLoop loop_ = std::move(*EventLoop::make());
  TestRegistry registry_{limits_};
  Doorbells doorbells_{loop_};
  std::shared_ptr<Region> region_ = *registry_.create({.name = "a", .capacity = 1});
  Region::Fds fds_ = std::move(*region_->fds_for(Access::write));
  int told_ = 0;

  void SetUp() override {
    doorbells_.on_publish([this](const std::shared_ptr<Region>& region) {
      EXPECT_EQ(region, region_);
      ++told_;
      loop_.exit(0);
    });
  }

  // As a writer that keeps the rules does; whether it rang.
  bool publish() {
    const auto geometry = region_->geometry();
    void* page = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fds_.region.get(),
                        static_cast<off_t>(geometry.directory_offset()));
    void* table = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fds_.leases.get(), 0);
    auto& latest = static_cast<format::Directory*>(page)->latest;
    const auto sequence = format::sequence_of(latest) + 1;
    latest = format::pack_latest(sequence, sequence % 2);
    const bool armed = static_cast<format::LeaseTable*>(table)->cells[0].armed == sequence;
    ::munmap(page, page_size());
    ::munmap(table, page_size());
    const std::uint64_t one = 1;
    EXPECT_TRUE(!armed || ::write(fds_.doorbell.get(), &one, sizeof one) == sizeof one);
    return armed;
  }
  // Until somebody was told.
  void run() { EXPECT_EQ(*loop_.run(), 0); }
};

TEST_F(DoorbellsTest, NobodyRingsWhileNobodyListens) { EXPECT_FALSE(publish()); }

TEST_F(DoorbellsTest, ListeningOnceHearsOnePublish) {
  doorbells_.listen_once(region_);
  EXPECT_EQ(told_, 0);
  EXPECT_TRUE(publish());
  EXPECT_FALSE(publish()) << "it was rung for already";
  run();
  EXPECT_EQ(told_, 1);
  EXPECT_FALSE(publish()) << "nobody listens any more";
}

TEST_F(DoorbellsTest, ListeningGoesOnUntilItIsStopped) {
  doorbells_.listen(region_);
  EXPECT_TRUE(publish());
  run();
  EXPECT_EQ(told_, 1);
  doorbells_.listen_once(region_);
  doorbells_.stop(region_);
  EXPECT_TRUE(publish()) << "somebody else still wants the next one";
}

TEST_F(DoorbellsTest, AskingAgainMissesNothing) {
  doorbells_.listen(region_);
  EXPECT_TRUE(publish());
  doorbells_.listen_once(region_);  // arms for the next one, and so must see that there was one
  EXPECT_EQ(told_, 1);
}

TEST_F(DoorbellsTest, AForgottenRegionIsNotRungFor) {
  doorbells_.listen(region_);
  doorbells_.listen_once(region_);
  doorbells_.forget(region_);
  EXPECT_FALSE(publish());
}

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "idle_shrink.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "test_registry.h"

namespace memio::broker {
namespace {

constexpr std::uint64_t capacity = std::uint64_t{12} << 20;  // more than a step takes

// A region whose four slots are all filled, and the memory that it shares with its openers.
class IdleShrinkTest : public testing::Test {
 protected:
  Limits limits_;
  EventLoop loop_ = std::move(*EventLoop::make());
  TestRegistry registry_{limits_};
  Doorbells doorbells_{loop_};
  IdleShrink idle_{loop_, doorbells_};
  std::shared_ptr<Region> region_ = *registry_.create({.name = "a", .capacity = capacity, .shrink_after = 10});
  Region::Fds fds_ = std::move(*region_->fds_for(Access::write));
  const Geometry& geometry_ = region_->geometry();
  format::Directory* directory_ = map<format::Directory>(fds_.region.get(), geometry_.directory_offset());
  format::LeaseTable* table_ = map<format::LeaseTable>(fds_.leases.get(), 0);
  std::uint64_t empty_ = 0;

  template <class T>
  static T* map(int fd, std::uint64_t offset) {
    return static_cast<T*>(
        ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset)));
  }
  void SetUp() override {
    empty_ = region_->memory_in_use();
    fill();
    const format::SlotHeader header{format::slot_magic(geometry_.layout), 1, 5};
    ASSERT_GT(::pwrite(fds_.region.get(), &header, sizeof header, static_cast<off_t>(geometry_.slot_offset(2))), 0);
    directory_->latest = format::pack_latest(7, 2);
  }
  void TearDown() override {
    ::munmap(directory_, page_size());
    ::munmap(table_, page_size());
  }
  void fill() {
    const std::vector<std::byte> bytes(geometry_.directory_offset(), std::byte{1});
    ASSERT_EQ(::pwrite(fds_.region.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  // Goes on until memiod waits for the region's next publish, having nothing left to do; then does each thing in turn,
  // and waits again after it.
  void run_until_armed(std::vector<std::function<void()>> then = {}) {
    auto timer = loop_.add_timer([&] {
      const bool armed = table_->cells[0].armed == format::sequence_of(directory_->latest) + 1;
      if (armed && then.empty()) return loop_.exit(0);
      if (armed) {
        then.front()();
        then.erase(then.begin());
      }
      again_->start_timer(std::chrono::milliseconds(1));
    });
    ASSERT_TRUE(timer);
    again_ = &*timer;
    again_->start_timer({});
    EXPECT_EQ(*loop_.run(), 0);
  }
  EventSource* again_ = nullptr;
};

TEST_F(IdleShrinkTest, GivesBackAllButTheLatestPayload) {
  idle_.add(region_);
  run_until_armed();
  EXPECT_LE(region_->memory_in_use(), empty_ + page_size());
  EXPECT_EQ(table_->cells[0].leases, 0U);
  char byte = 0;
  ASSERT_EQ(::pread(fds_.region.get(), &byte, 1, static_cast<off_t>(geometry_.payload_offset(2))), 1);
  EXPECT_EQ(byte, 1);
}

TEST_F(IdleShrinkTest, DoesSoAgainAfterAnotherPublish) {
  idle_.add(region_);
  run_until_armed({[&] {
    EXPECT_LE(region_->memory_in_use(), empty_ + page_size());
    fill();
    directory_->latest = format::pack_latest(8, 2);
    region_->ring();
  }});
  EXPECT_LE(region_->memory_in_use(), empty_ + geometry_.stride) << "slot 2 has no header any more, and is left alone";
}

TEST_F(IdleShrinkTest, WaitsForWritersAndReaders) {
  table_->cells_used = 2;
  table_->cells[1].leases = 1U << 3;
  auto step = region_->shrink_step(geometry_.slot_offset(3));
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->later);
  table_->cells[1].leases = 0;
  directory_->writer = 2;
  step = region_->shrink_step(0);
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->later);
  EXPECT_EQ(table_->cells[0].leases, 0U);
}

TEST_F(IdleShrinkTest, TakesABoundedPieceAtATime) {
  std::uint64_t place = 0;
  int steps = 0;
  for (; place < geometry_.directory_offset(); ++steps) {
    const auto before = region_->memory_in_use();
    const auto step = region_->shrink_step(place);
    ASSERT_TRUE(step && !step->later && step->next > place);
    EXPECT_LE(before - region_->memory_in_use(), std::uint64_t{4} << 20);
    place = step->next;
  }
  EXPECT_GT(steps, 8);
  EXPECT_LE(region_->memory_in_use(), empty_ + page_size());
}

TEST_F(IdleShrinkTest, AWriterThatWaitsForASlotIsWoken) {
  table_->slot_wanted = 1;
  ASSERT_TRUE(region_->shrink_step(0));
  EXPECT_EQ(table_->slot_wanted, 0U);
}

TEST_F(IdleShrinkTest, ARegionThatIsGoneIsForgotten) {
  idle_.add(region_);
  idle_.forget(*region_);
  doorbells_.forget(region_);
  auto timer = loop_.add_timer([&] { loop_.exit(0); });
  timer->start_timer(std::chrono::milliseconds(20));
  EXPECT_EQ(*loop_.run(), 0);
  EXPECT_GT(region_->memory_in_use(), 4 * capacity);
}

TEST_F(IdleShrinkTest, LiesAreSurvived) {
  for (const std::uint64_t lie : {~std::uint64_t{0}, format::pack_latest(3, 63)}) {
    directory_->latest = lie;
    table_->cells_used = ~0U;
    EXPECT_TRUE(region_->shrink_step(0));
  }
}

}  // namespace
}  // namespace memio::broker

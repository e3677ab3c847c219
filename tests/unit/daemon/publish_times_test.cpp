// SPDX-License-Identifier: MIT
#include "publish_times.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <vector>

#include "test_registry.h"

namespace memio::broker {
namespace {

using std::chrono::milliseconds;

class PublishTimesTest : public testing::Test {
 protected:
  Limits limits_;
  EventLoop loop_ = std::move(*EventLoop::make());
  TestRegistry registry_{limits_};
  Doorbells doorbells_{loop_};
  PublishTimes times_{loop_, doorbells_, registry_, milliseconds(2), milliseconds(200)};
  std::shared_ptr<Region> region_ = *registry_.create({.name = "a", .capacity = 1});
  Region::Fds fds_ = std::move(*region_->fds_for(Access::write));
  format::Directory* directory_ = map<format::Directory>(fds_.region.get(), region_->geometry().directory_offset());
  format::LeaseTable* table_ = map<format::LeaseTable>(fds_.leases.get(), 0);
  int rings_ = 0;

  template <class T>
  static T* map(int fd, std::uint64_t offset) {
    return static_cast<T*>(
        ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset)));
  }
  void TearDown() override {
    ::munmap(directory_, page_size());
    ::munmap(table_, page_size());
  }
  // As a writer that keeps the rules does.
  void publish() {
    const auto sequence = format::sequence_of(directory_->latest) + 1;
    directory_->latest = format::pack_latest(sequence, sequence % 2);
    if (table_->cells[0].armed != sequence) return;
    ++rings_;
    region_->ring();
  }
  // A loop runs once, so a test is a list of things to wait for and what is done then.
  struct Step {
    std::function<bool()> until;
    std::function<void()> then = [] {};
  };
  void run(std::vector<Step> steps) {
    std::optional<EventSource> timer;
    timer = std::move(*loop_.add_timer(
        [&] {
          if (steps.front().until()) {
            steps.front().then();
            steps.erase(steps.begin());
          }
          if (steps.empty()) return loop_.exit(0);
          timer->start_timer(milliseconds(1));
        },
        milliseconds(1)));
    timer->start_timer({});
    EXPECT_EQ(*loop_.run(), 0);
  }
  [[nodiscard]] bool is_armed_for(std::uint64_t sequence) const { return table_->cells[0].armed == sequence; }
};

TEST_F(PublishTimesTest, NobodyRingsUntilSomebodyAsks) {
  publish();
  EXPECT_EQ(rings_, 0);
  EXPECT_EQ(times_.of(*region_), std::nullopt);
  times_.ask();
  EXPECT_EQ(times_.of(*region_), std::nullopt) << "when that was, nobody knows";
}

TEST_F(PublishTimesTest, APublishIsSeenAndItsTimeStays) {
  times_.ask();
  const auto before = PublishTimes::Clock::now();
  publish();
  EXPECT_EQ(rings_, 1);
  std::optional<PublishTimes::Clock::time_point> seen;
  int turns = 0;
  run({{[&] { return times_.of(*region_) && is_armed_for(2); }, [&] { seen = times_.of(*region_); }},
       {[&] { return ++turns > 5; }}});
  ASSERT_TRUE(seen);
  EXPECT_GE(*seen, before);
  EXPECT_LE(*seen, PublishTimes::Clock::now());
  EXPECT_EQ(times_.of(*region_), seen);
}

// Published again and again within an interval, it rings the first time only.
TEST_F(PublishTimesTest, ABusyRegionDoesNotRing) {
  int published = 0;
  run({{[&] {
    times_.ask();
    for (int i = 0; i < 50; ++i, ++published) publish();
    return published > 1000;
  }}});
  EXPECT_LE(rings_, 3);
  EXPECT_GE(*times_.of(*region_) + std::chrono::seconds(1), PublishTimes::Clock::now());
}

// But for once, because the last question's doorbell is still armed.
TEST_F(PublishTimesTest, AfterAWhileWithoutAQuestionNobodyRingsAnyMore) {
  int turns = 0;
  times_.ask();
  publish();
  const auto begin = std::chrono::steady_clock::now();
  run({{[&] { return is_armed_for(2); }, [&] { publish(); }},
       {[&] { return std::chrono::steady_clock::now() - begin > milliseconds(300); }, [&] { publish(); }},
       {[&] { return ++turns > 5; }, [&] { publish(); }}});
  EXPECT_EQ(rings_, 3);
  EXPECT_FALSE(is_armed_for(5));
  times_.ask();
  EXPECT_EQ(times_.of(*region_), std::nullopt) << "it was published while nobody looked";
}

TEST_F(PublishTimesTest, RegionsThatComeLaterAreFollowedAndThoseThatGoForgotten) {
  times_.ask();
  auto later = *registry_.create({.name = "b", .capacity = 1});
  times_.add(later);
  later->ring();
  times_.forget(*later);
  doorbells_.forget(later);
  registry_.remove(later);
  std::weak_ptr<Region> gone = later;
  later.reset();
  EXPECT_TRUE(gone.expired());
}

}  // namespace
}  // namespace memio::broker

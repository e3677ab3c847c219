// SPDX-License-Identifier: MIT
// What regions cost in memory, when they are made, used, prefaulted and shrunk.

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "memio/region_format.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/payload.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

class Memory : public DaemonTest {
 protected:
  std::uint64_t memory_of(const std::string& name) { return client_.stat(name)->memory; }
  // Waits until memiod has shrunk the region.
  void wait_for_memory_below(const std::string& name, std::uint64_t limit) {
    while (memory_of(name) >= limit) std::this_thread::yield();
  }

  Client client_ = daemon_.connect();
};

TEST_F(Memory, AHugeCapacityCostsNothingUntilItIsTouched) {
  for (const bool huge_pages : {false, true}) {
    const std::string name = huge_pages ? "huge" : "small";
    auto region = client_.create(name, {.capacity = 64 * 1024 * mebibyte, .huge_pages = huge_pages});
    ASSERT_TRUE(region) << region.error().text();
    EXPECT_LT(memory_of(name), mebibyte / 2);
    ASSERT_TRUE(region->write(bytes("a little")));
    EXPECT_LE(memory_of(name), 5 * mebibyte) << "a huge page at most";
    auto other = daemon_.connect();
    EXPECT_EQ(text(other.open(name, Access::read)->read()->data()), "a little");
  }
}

TEST_F(Memory, HugePagesArePartOfWhatARegionIs) {
  auto region = client_.create("huge", {.capacity = 3 * mebibyte, .slots = 2, .huge_pages = true});
  ASSERT_TRUE(region);
  EXPECT_TRUE(region->info().huge_pages);
  EXPECT_EQ(region->info().stride, 4 * mebibyte);
  auto other = daemon_.connect();
  auto opened = other.open("huge", Access::write);
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_TRUE(opened->info().huge_pages);
  ASSERT_TRUE(region->prefault());
  EXPECT_GE(memory_of("huge"), 8 * mebibyte);
  const std::vector<std::byte> payload(3 * mebibyte, std::byte{3});
  ASSERT_TRUE(opened->write(payload));
  EXPECT_TRUE(std::ranges::equal(region->read()->data(), payload));
}

TEST_F(Memory, PrefaultingAllocatesAllSlots) {
  auto region = client_.create("a", {.capacity = mebibyte});
  ASSERT_TRUE(region && region->prefault());
  EXPECT_GE(memory_of("a"), 4 * mebibyte);
  auto other = daemon_.connect();
  auto reader = other.open("a", Access::read);
  EXPECT_TRUE(reader && reader->prefault());
}

TEST_F(Memory, ShrinkingGivesStaleSlotsBack) {
  auto region = client_.create("a", {.capacity = mebibyte});
  ASSERT_TRUE(region && region->prefault());
  ASSERT_TRUE(region->write(bytes("kept")));
  const auto before = memory_of("a");
  const auto freed = region->shrink();
  ASSERT_TRUE(freed) << freed.error().text();
  EXPECT_GE(*freed, 4 * mebibyte - page_size());
  EXPECT_EQ(memory_of("a"), before - *freed);
  EXPECT_EQ(text(region->read()->data()), "kept");
}

TEST_F(Memory, ShrinkingIsRefusedWhereItCannotBe) {
  auto exclusive = client_.create("exclusive", {.capacity = mebibyte, .exclusive = true});
  ASSERT_TRUE(exclusive && exclusive->write(bytes("one")) && exclusive->write(bytes("two")));
  EXPECT_EQ(exclusive->shrink().error().code, Errc::read_only);
  EXPECT_EQ(text(exclusive->read()->data()), "two");
  auto other = daemon_.connect();
  auto reader = other.open("exclusive", Access::read);
  EXPECT_EQ(reader->shrink().error().code, Errc::read_only);
  auto region = client_.create("a", {.capacity = mebibyte});
  ASSERT_TRUE(region && region->begin(1));
  EXPECT_EQ(region->shrink().error().code, Errc::misuse);
}

TEST_F(Memory, ShrinkAfterIsChecked) {
  for (const auto time : {0ms, 9ms, std::chrono::milliseconds(8 * 24h)}) {
    auto region = client_.create("a", {.capacity = 1, .shrink_after = time});
    EXPECT_EQ(region.error().code, Errc::invalid_shrink_after);
    EXPECT_NE(region.error().text().find(std::to_string(time.count())), std::string::npos);
  }
  for (const unsigned slots : {1, 2})
    EXPECT_EQ(client_.create("a", {.capacity = 1, .slots = slots, .shrink_after = 1s}).error().code,
              Errc::invalid_shrink_after);
  EXPECT_EQ(client_.create("a", {.capacity = 1, .exclusive = true, .shrink_after = 1s}).error().code,
            Errc::invalid_shrink_after);
}

TEST_F(Memory, AnIdleRegionIsShrunkIfItAskedForIt) {
  auto idle = client_.create("idle", {.capacity = mebibyte, .shrink_after = 10ms});
  auto other = client_.create("other", {.capacity = mebibyte});
  ASSERT_TRUE(idle && other && idle->prefault() && other->prefault());
  EXPECT_EQ(idle->info().shrink_after, 10U);
  ASSERT_TRUE(idle->write(bytes("kept")));
  wait_for_memory_below("idle", mebibyte);
  ASSERT_TRUE(idle->prefault());
  ASSERT_TRUE(idle->write(bytes("kept again")));
  wait_for_memory_below("idle", mebibyte);
  EXPECT_EQ(text(idle->read()->data()), "kept again");
  EXPECT_GE(memory_of("other"), 4 * mebibyte);
}

TEST_F(Memory, WatchersAreToldOfARegionThatIsShrunkWhenIdle) {
  auto watcher = client_.watch("**", true);
  auto idle = client_.create("idle", {.capacity = mebibyte, .shrink_after = 10ms});
  for (std::uint64_t version = 1; version <= 3; ++version) {
    ASSERT_TRUE(idle->prefault() && idle->write(bytes("x"), version));
    std::optional<std::uint64_t> told;
    while (told != version) {
      auto event = watcher->wait(20s);
      ASSERT_TRUE(event) << event.error().text();
      told = event->version;
    }
    wait_for_memory_below("idle", mebibyte);
  }
}

TEST_F(Memory, AnIdleRegionIsShrunkByTheNextMemiodToo) {
  auto idle = client_.create("idle", {.capacity = mebibyte, .huge_pages = true, .shrink_after = 10ms});
  ASSERT_TRUE(idle && idle->write(bytes("kept")));
  daemon_.kill();
  ASSERT_TRUE(idle->prefault());
  daemon_.start();
  std::array<Event, 4> events;
  for (bool back = false; !back;) {
    const auto told = client_.wait(events, 20s);
    ASSERT_TRUE(told && *told > 0);
    for (const auto& event : std::span(events).first(*told)) back = back || event.kind == Event::Kind::reconnected;
  }
  auto observer = daemon_.connect();
  while (observer.stat("idle")->memory >= 4 * mebibyte) std::this_thread::yield();
  EXPECT_EQ(observer.stat("idle")->region.shrink_after, 10U);
  EXPECT_TRUE(observer.stat("idle")->region.huge_pages);
  EXPECT_EQ(text(idle->read()->data()), "kept");
}

// Readers check every byte while memory is taken away under the writer's nose by two others, memiod among them.
TEST_F(Memory, ShrinkingAllTheTimeTearsNothing) {
  constexpr std::size_t capacity = 64 << 10;
  constexpr std::uint64_t publishes = 20'000;
  auto region = client_.create("a", {.capacity = capacity, .shrink_after = 10ms});
  ASSERT_TRUE(region);
  region->set_write_timeout(20s);
  const auto read_all = [&] {
    auto client = Client::connect(daemon_.socket_path());
    auto mine = client->open("a", Access::read);
    std::optional<Snapshot> held;
    for (std::uint64_t seen = 0; seen < publishes;) {
      if (!mine->wait(seen, 20s)) return 1;
      auto snapshot = mine->read();
      if (!snapshot) return 2;
      if (!is_whole(snapshot->data(), snapshot->version(), capacity)) return 3;
      if (held && !is_whole(held->data(), held->version(), capacity)) return 4;
      seen = snapshot->sequence();
      held = std::move(*snapshot);
    }
    return 0;
  };
  auto reader = Process::fork(read_all);
  auto shrinker = Process::fork([&] {
    auto client = Client::connect(daemon_.socket_path());
    auto mine = client->open("a", Access::write);
    mine->set_write_timeout(20s);
    while (mine->sequence() < publishes)
      if (!mine->shrink()) return 1;
    return 0;
  });
  for (std::uint64_t version = 1; version <= publishes; ++version) {
    auto payload = region->begin(payload_length(version, capacity));
    ASSERT_TRUE(payload) << payload.error().text();
    fill_payload(*payload, version);
    ASSERT_TRUE(region->commit(version));
  }
  EXPECT_EQ(reader.wait(), 0);
  EXPECT_EQ(shrinker.wait(), 0);
}

}  // namespace
}  // namespace memio::test

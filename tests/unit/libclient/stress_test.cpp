// SPDX-License-Identifier: MIT
// Several writers and readers at once, each with a handle of its own and payloads that say themselves what they are.
//
// Every handle maps the region's files, so in one process the same byte has many addresses, and the thread sanitizer,
// which goes by addresses, would see no race at all. Here mmap(2) therefore gives the same mapping for the same file
// (the linker puts it in between: --wrap), as long as `share_mappings` is set.

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "sleeper.h"
#include "test_region.h"

namespace {

struct SharedMapping {
  std::size_t size = 0;
  unsigned users = 0;
};

bool share_mappings = false;
std::mutex mappings_mutex;
std::map<std::pair<dev_t, ino_t>, void*> mapping_of_file;
std::map<void*, SharedMapping> shared_mappings;

}  // namespace

extern "C" {
void* __real_mmap(void*, std::size_t, int, int, int, off_t);
int __real_munmap(void*, std::size_t);

void* __wrap_mmap(void* address, std::size_t size, int protection, int flags, int fd, off_t offset) {
  struct stat status {};
  if (!share_mappings || fd < 0 || ::fstat(fd, &status) != 0)
    return __real_mmap(address, size, protection, flags, fd, offset);
  const std::scoped_lock lock(mappings_mutex);
  const std::pair file(status.st_dev, status.st_ino);
  if (!mapping_of_file.contains(file)) {
    void* mapping = __real_mmap(address, size, protection, flags, fd, offset);
    if (mapping == MAP_FAILED) return mapping;
    mapping_of_file[file] = mapping;
    shared_mappings[mapping].size = size;
  }
  void* mapping = mapping_of_file[file];
  ++shared_mappings[mapping].users;
  return mapping;
}

int __wrap_munmap(void* address, std::size_t size) {
  const std::scoped_lock lock(mappings_mutex);
  const auto found = shared_mappings.find(address);
  if (found == shared_mappings.end()) return __real_munmap(address, size);
  if (--found->second.users > 0) return 0;
  shared_mappings.erase(found);
  std::erase_if(mapping_of_file, [&](const auto& entry) { return entry.second == address; });
  return __real_munmap(address, size);
}
}

namespace memio {
namespace {

using namespace std::chrono_literals;
using test::Handle;
using test::TestRegion;

constexpr std::uint64_t most_words = 400;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t publishes_each = 5'000;
#else
constexpr std::uint64_t publishes_each = 100'000;
#endif
constexpr int writers = 2;
constexpr int readers = 2;
constexpr std::uint64_t total = publishes_each * writers;

std::uint64_t word(std::uint64_t seed, std::uint64_t i) { return (seed + i) * 0x9E37'79B9'7F4A'7C15; }
std::uint64_t words_of(std::uint64_t seed) { return 1 + seed * 31 % most_words; }

// All of a payload follows from its version.
void fill(std::span<std::byte> payload, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < words_of(seed); ++i) {
    const auto value = word(seed, i);
    std::memcpy(payload.data() + i * 8, &value, 8);
  }
}

// The payload is whole, and belongs to its header.
bool is_whole(const Reader::Leased& lease) {
  if (lease.sequence == 0) return lease.payload.empty();
  if (lease.payload.size() != words_of(lease.version) * 8) return false;
  for (std::uint64_t i = 0; i < words_of(lease.version); ++i) {
    std::uint64_t value = 0;
    std::memcpy(&value, lease.payload.data() + i * 8, 8);
    if (value != word(lease.version, i)) return false;
  }
  return true;
}

void write_all(TestRegion& region, unsigned writer) {
  Handle handle(region.open_writer());
  for (std::uint64_t i = 0; i < publishes_each; ++i) {
    const std::uint64_t version = i * writers + writer;
    const auto payload = handle.writer.begin(words_of(version) * 8, test::no_deadline);
    ASSERT_TRUE(payload) << payload.error().text();
    fill(*payload, version);
    const auto sequence = handle.writer.commit(version);
    ASSERT_TRUE(sequence) << sequence.error().text();
    if (region.geometry().classic()) std::this_thread::yield();  // or readers would hardly ever find it whole
  }
}

struct Counts {
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<std::uint64_t> sleeps = 0;
};

// Reads until the last publish, sleeping whenever there is nothing new. `held`: leases kept across reads.
void read_all(TestRegion& region, std::size_t held, Counts& counts) {
  Handle handle(region.open_reader());
  Sleeper sleeper(handle.memory.doorbell_fd());
  std::vector<Reader::Leased> leases;
  const auto release_down_to = [&](std::size_t count) {
    while (leases.size() > count) {
      ASSERT_TRUE(is_whole(leases.front())) << "a leased payload changed";
      handle.reader.release(leases.front().slot);
      leases.erase(leases.begin());
    }
  };
  for (std::uint64_t seen = 0; seen < total;) {
    const auto lease = handle.reader.lease(seen, handle.copy);
    if (!lease && lease.error().code == Errc::busy && region.geometry().classic()) continue;
    ASSERT_TRUE(lease) << lease.error().text();
    if (!*lease) {
      release_down_to(0);
      if (!handle.reader.arm(seen)) continue;
      ++counts.sleeps;
      ASSERT_TRUE(sleeper.sleep()) << "lost wake-up after sequence " << seen << "; now at " << handle.reader.sequence();
      continue;
    }
    ++counts.reads;
    ASSERT_GT((*lease)->sequence, seen);
    ASSERT_TRUE(is_whole(**lease)) << "torn at sequence " << (*lease)->sequence;
    seen = (*lease)->sequence;
    leases.push_back(**lease);
    release_down_to(held);
  }
  release_down_to(0);
}

void run(unsigned slots, std::size_t held) {
  TestRegion region(slots, most_words * 8);
  Counts counts;
  std::vector<std::thread> threads;
  for (int i = 0; i < readers; ++i) threads.emplace_back([&] { read_all(region, held, counts); });
  for (unsigned i = 0; i < writers; ++i) threads.emplace_back([&, i] { write_all(region, i); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(region.sequence(), total);
  EXPECT_EQ(region.directory().writer, 0U);
  for (unsigned i = 0; i < TestRegion::cells; ++i) EXPECT_EQ(region.cell(i).leases, 0U);
  EXPECT_GT(counts.reads, 0U);
  testing::Test::RecordProperty("reads", static_cast<int>(counts.reads));
  testing::Test::RecordProperty("sleeps", static_cast<int>(counts.sleeps));
}

class Stress : public testing::Test {
 protected:
  ~Stress() override { share_mappings = false; }
};

TEST_F(Stress, ReadersOfFourSlotsSeeOnlyWholePayloadsAndMissNoWakeUp) {
  share_mappings = true;
  run(4, 1);
}

// Readers hold more than there is room for, so that writers wait for slots most of the time.
TEST_F(Stress, WritersThatWaitForSlotsAreWokenByReleases) {
  share_mappings = true;
  run(3, 1);
}

TEST_F(Stress, TwoSlotsAreEnoughForReadersThatHoldNothing) {
  share_mappings = true;
  run(2, 0);
}

// Not with shared mappings: a seqlock's reader copies bytes that may be changing and then throws them away, which is a
// race by design and would be reported as one.
TEST_F(Stress, ReadersOfAClassicRegionSeeOnlyWholePayloads) { run(1, 0); }

}  // namespace
}  // namespace memio

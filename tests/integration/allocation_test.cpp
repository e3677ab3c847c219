// SPDX-License-Identifier: MIT
// What the library promises to do without allocating: publish, read, release, wake, dispatch.
//
// This program stands in for malloc and its relatives, which operator new comes to as well, and counts them, in all
// threads. The sanitizers stand in for them already, and offer a hook instead.

#include <execinfo.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "memio.h"
#include "support/bytes.h"
#include "support/daemon.h"

namespace {

std::atomic<bool> counting = false;
std::atomic<unsigned> allocations = 0;
std::array<void*, 32> first_allocation;  // the stack
std::atomic<int> first_depth = 0;

void note_allocation() noexcept {
  if (!counting || allocations++ > 0) return;
  counting = false;  // backtrace() may allocate
  first_depth = ::backtrace(first_allocation.data(), static_cast<int>(first_allocation.size()));
  counting = true;
}

}  // namespace

extern "C" {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

__attribute__((visibility("default"))) void __sanitizer_malloc_hook(const volatile void*, std::size_t) {
  note_allocation();
}
__attribute__((visibility("default"))) void __sanitizer_free_hook(const volatile void*) {}

#else

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

// libstdc++ and libc++ come to these only if they are visible to them.
#define MEMIO_INTERPOSED __attribute__((visibility("default")))
MEMIO_INTERPOSED void* malloc(std::size_t size) {
  note_allocation();
  return __libc_malloc(size);
}
MEMIO_INTERPOSED void* calloc(std::size_t count, std::size_t size) {
  note_allocation();
  return __libc_calloc(count, size);
}
MEMIO_INTERPOSED void* realloc(void* old, std::size_t size) {
  note_allocation();
  return __libc_realloc(old, size);
}
MEMIO_INTERPOSED void* memalign(std::size_t alignment, std::size_t size) {
  note_allocation();
  return __libc_memalign(alignment, size);
}
MEMIO_INTERPOSED void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
MEMIO_INTERPOSED int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  *result = memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}

#endif
}

namespace memio::test {
namespace {

constexpr auto long_enough = std::chrono::seconds(20);
constexpr int rounds = 1000;

// Counts while it lives.
class Counting {
 public:
  Counting() {
    std::array<void*, 1> frame;
    ::backtrace(frame.data(), 1);  // loads what it needs
    allocations = 0;
    counting = true;
  }
  ~Counting() { counting = false; }
};

// Runs `step` until all that grows has grown, and then many times more.
template <class Step>
unsigned allocations_of(Step step) {
  for (int i = 0; i < 10; ++i) step();
  {
    const Counting now;
    for (int i = 0; i < rounds; ++i) step();
  }
  return allocations;
}

// Says where the first one was made; addr2line knows more.
void expect_none(unsigned count) {
  EXPECT_EQ(count, 0U);
  if (count > 0) ::backtrace_symbols_fd(first_allocation.data(), first_depth, STDERR_FILENO);
}

TEST(Allocations, AreCounted) {
  EXPECT_EQ(allocations_of([] {
              void* volatile kept = ::malloc(1);  // not to be left out by the compiler
              ::free(kept);
            }),
            rounds);
  EXPECT_EQ(allocations_of([] { ::operator delete(::operator new(1)); }), rounds);
  EXPECT_EQ(allocations_of([] { EXPECT_EQ(std::string(100, 'x').size(), 100U); }), rounds);
}

class NoAllocations : public DaemonTest, public testing::WithParamInterface<unsigned> {
 protected:
  Client client_ = daemon_.connect();
  Region region_ = std::move(*client_.create("a", {.capacity = 10'000, .slots = GetParam()}));
  std::array<std::byte, 5000> payload_{};
};
INSTANTIATE_TEST_SUITE_P(, NoAllocations, testing::Values(1, 4, 64),
                         [](const auto& test) { return std::to_string(test.param) + "Slots"; });

TEST_P(NoAllocations, InPublishingByCopy) {
  expect_none(allocations_of([&] { ASSERT_TRUE(region_.write(payload_)); }));
}

TEST_P(NoAllocations, InPublishingInPlace) {
  expect_none(allocations_of([&] {
    auto to = region_.begin(100);
    ASSERT_TRUE(to);
    ASSERT_EQ(to->size(), 100U);
    ASSERT_TRUE(region_.commit(7));
  }));
}

TEST_P(NoAllocations, InGivingUpAPublish) {
  expect_none(allocations_of([&] {
    ASSERT_TRUE(region_.begin(100));
    region_.abort();
  }));
}

TEST_P(NoAllocations, InReadingAndReleasing) {
  ASSERT_TRUE(region_.write(payload_));
  expect_none(allocations_of([&] {
    auto snapshot = region_.read();
    ASSERT_TRUE(snapshot);
    ASSERT_EQ(snapshot->data().size(), payload_.size());
    auto again = region_.read(0);
    ASSERT_TRUE(again && *again);
    ASSERT_EQ((*again)->sequence(), region_.sequence());
    ASSERT_FALSE(region_.read(region_.sequence()).value()) << "unchanged";
  }));
}

TEST_P(NoAllocations, InCopyingWhatFits) {
  ASSERT_TRUE(region_.write(payload_));
  expect_none(allocations_of([&] { ASSERT_TRUE(region_.read_into(payload_)); }));
}

TEST_P(NoAllocations, InBeingTold) {
  auto reader = daemon_.connect();
  auto subscribed = reader.open("a", Access::read);
  ASSERT_TRUE(subscribed->subscribe({1}));
  std::array<Event, 4> events;
  expect_none(allocations_of([&] {
    ASSERT_TRUE(region_.write(payload_));
    ASSERT_EQ(reader.wait(events, long_enough).value(), 1U);
    ASSERT_EQ(events[0].kind, Event::Kind::region_changed);
    ASSERT_TRUE(subscribed->read(0).value());
    ASSERT_EQ(reader.dispatch(events), 0U);
  }));
}

TEST_P(NoAllocations, InWaitingForAnotherThread) {
  auto other_client = daemon_.connect();
  auto other = other_client.open("a", Access::write);
  // Ours are the odd sequences, and the thread's the even ones.
  constexpr std::uint64_t last = 2 * (10 + rounds);
  std::thread thread([&] {
    for (std::uint64_t seen = 0; seen < last; seen += 2) {
      ASSERT_EQ(other->wait(seen, long_enough).value_or(0), seen + 1);
      ASSERT_EQ(other->write(payload_).value_or(0), seen + 2);
    }
  });
  expect_none(allocations_of([&] {
    const auto sequence = region_.write(payload_);
    ASSERT_TRUE(sequence);
    ASSERT_EQ(region_.wait(*sequence, long_enough).value_or(0), *sequence + 1);
  }));
  EXPECT_EQ(region_.sequence(), last);
  thread.join();
}

TEST(Allocations, AreNotMadeByABusyWriter) {
  Daemon daemon;
  auto client = daemon.connect();
  auto region = client.create("a", {.capacity = 16, .slots = 2});
  auto other = client.open("a", Access::write);
  region->set_write_timeout(std::chrono::milliseconds(0));
  auto held = region->read();
  ASSERT_TRUE(region->write(bytes("x")));
  expect_none(allocations_of([&] { ASSERT_EQ(region->write(bytes("y")).error().code, Errc::busy); }));
  held = region->read();
  ASSERT_TRUE(other->begin(1));
  expect_none(allocations_of([&] { ASSERT_EQ(region->write(bytes("y")).error().code, Errc::busy); }));
}

class StreamAllocations : public DaemonTest {
 protected:
  Client client_ = daemon_.connect();
  Client other_ = daemon_.connect();
  StreamWriter writer_ = std::move(*client_.create_stream_writer("s", {.chunk_size = 1000}));
  StreamReader reader_ = std::move(*other_.open_stream_reader("s"));
  std::array<std::byte, 2500> payload_{};

  static constexpr auto at_once = std::chrono::milliseconds(0);
};

TEST_F(StreamAllocations, AreNotMadeForChunks) {
  expect_none(allocations_of([&] {
    auto buffer = writer_.begin(at_once);
    ASSERT_TRUE(buffer);
    ASSERT_TRUE(writer_.commit(buffer->size()));
    auto chunk = reader_.next(at_once);
    ASSERT_EQ((*chunk)->data().size(), 1000U);
  }));
}

TEST_F(StreamAllocations, AreNotMadeForCopiesAndChunksThatAreKept) {
  expect_none(allocations_of([&] {
    ASSERT_TRUE(writer_.write(payload_, at_once));
    auto first = reader_.next(at_once);
    auto second = reader_.next(at_once);
    first = reader_.next(at_once);
    ASSERT_EQ((*first)->data().size(), 500U);
    ASSERT_EQ(reader_.next(at_once).error().code, Errc::timed_out);
  }));
}

TEST_F(StreamAllocations, AreNotMadeForEvents) {
  ASSERT_TRUE(writer_.subscribe({1}));
  ASSERT_TRUE(reader_.subscribe({2}));
  std::array<Event, 4> events;
  ASSERT_EQ(client_.dispatch(events), 1U);
  expect_none(allocations_of([&] {
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(writer_.begin(at_once));
      ASSERT_TRUE(writer_.commit(1));
    }
    ASSERT_EQ(other_.wait(events, long_enough).value(), 1U);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(reader_.next(at_once));
    ASSERT_EQ(client_.wait(events, long_enough).value(), 1U);
  }));
}

TEST_F(StreamAllocations, AreNotMadeInWaiting) {
  std::thread thread([&] {
    for (auto chunk = reader_.next(long_enough); chunk && *chunk; chunk = reader_.next(long_enough)) {
    }
  });
  expect_none(allocations_of([&] {
    for (int i = 0; i < 8; ++i) {
      ASSERT_TRUE(writer_.begin(long_enough));
      ASSERT_TRUE(writer_.commit(1000));
    }
  }));
  ASSERT_TRUE(writer_.finish(long_enough));
  thread.join();
}

TEST_F(StreamAllocations, AreNotMadeByTheCApi) {
  memio_client* client = nullptr;
  memio_stream_writer* writer = nullptr;
  memio_stream_reader* reader = nullptr;
  ASSERT_EQ(memio_connect(daemon_.socket_path().c_str(), &client), MEMIO_OK);
  ASSERT_EQ(memio_create_stream_writer(client, "c", nullptr, &writer), MEMIO_OK);
  ASSERT_EQ(memio_open_stream_reader(client, "c", &reader), MEMIO_OK);
  expect_none(allocations_of([&] {
    ASSERT_EQ(memio_stream_writer_write(writer, "xyz", 3, 0), MEMIO_OK);
    memio_chunk* chunk = nullptr;
    ASSERT_EQ(memio_stream_reader_next(reader, 0, &chunk), MEMIO_OK);
    ASSERT_EQ(memio_chunk_length(chunk), 3U);
    memio_chunk_free(chunk);
  }));
  memio_stream_reader_free(reader);
  memio_stream_writer_free(writer);
  memio_client_free(client);
}

// The text of a call or message is allocated when it is read from the socket. Being told of it is not.
TEST(Allocations, AreNotMadeInBeingToldOfMail) {
  Daemon daemon;
  auto client = daemon.connect();
  auto other = daemon.connect();
  auto read_first = client.listen("t");
  auto listener = client.listen("t", {1});
  auto handler = client.handle("c", {2});
  ASSERT_TRUE(read_first && listener && handler);
  std::array<Event, 4> events;
  unsigned count = 0;
  for (int i = 0; i < rounds; ++i) {
    other.call_async("c", "1", {}, [](const Result<CallAnswer>&) {});
    ASSERT_TRUE(other.emit("t", "2"));
    ASSERT_TRUE(read_first->wait(long_enough)) << "which reads the call, too";
    std::size_t told = 0;
    {
      const Counting now;
      told = client.dispatch(events);
    }
    count += allocations;
    ASSERT_EQ(told, 2U);
    ASSERT_TRUE(listener->next().value());
    auto call = handler->next().value();
    ASSERT_TRUE(call && call->answer("3"));
    other.dispatch(events);
  }
  expect_none(count);
}

TEST(Allocations, AreNotMadeForEventsOfManyRegions) {
  Daemon daemon;
  auto client = daemon.connect();
  constexpr std::size_t count = 200;  // more than one epoll_wait brings
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < count; ++i) {
    regions.push_back(std::move(*client.create("r" + std::to_string(i), {.capacity = 16})));
    ASSERT_TRUE(regions.back().subscribe({i}));
  }
  std::array<Event, 7> events;  // few, so that some have to wait
  for (const int batch : {1, 2, 3}) {
    expect_none(allocations_of([&] {
      for (std::size_t i = 0; i < count; i += static_cast<std::size_t>(batch))
        ASSERT_TRUE(regions[i].write(bytes("x")));
      std::size_t told = 0;
      while (const auto n = client.dispatch(events)) told += n;
      ASSERT_EQ(told, (count + static_cast<std::size_t>(batch) - 1) / static_cast<std::size_t>(batch));
    }));
  }
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Counts the system calls of the hot path, by tracing a child that makes them.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>
#include <vector>

#include "open_region.h"
#include "support/daemon.h"
#include "support/traced_process.h"

namespace memio::test {
namespace {

constexpr auto long_enough = std::chrono::seconds(20);
constexpr int rounds = 100;

enum Section : unsigned {
  publish,
  publish_in_place,
  read,
  read_unchanged,
  read_copy,
  sequence,
  nten_ready,
  ten_ready,
  call
};

// Ends the traced child with an error that shows.
void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "traced child: not so: %s\n", what);
  ::_exit(1);
}

class HotPath : public DaemonTest, public testing::WithParamInterface<unsigned> {
 protected:
  // In the child: a region with something in it, all of whose memory has been touched.
  struct Opened {
    Client client;
    Region region;
  };
  [[nodiscard]] Opened open_writer() const {
    auto client = daemon_.connect();
    auto region = client.open("a", Access::write);
    require(region.has_value(), "open");
    for (int i = 0; i < 4; ++i) require(region->write(payload_).has_value(), "write");
    return {std::move(client), std::move(*region)};
  }

  // As many processes that sleep until the next publish, again and again.
  void add_sleepers(unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      sleepers_.push_back(Process::fork([this] {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        auto client = daemon_.connect();
        auto region = client.open("a", Access::read);
        for (std::uint64_t seen = 0;;) {
          const auto now = region->wait(seen, std::chrono::milliseconds(-1));
          if (!now) return 1;
          seen = *now;
        }
      }));
  }
  // Until all of them wait for the publish after this one.
  void wait_for_sleepers(Region& region) const {
    const auto next = region.sequence() + 1;
    const auto armed = [&] {
      return static_cast<std::size_t>(std::ranges::count_if(RegionAccess::memory(region).cells(),
                                                            [&](const auto& cell) { return cell.armed == next; }));
    };
    while (armed() < sleepers_.size()) std::this_thread::yield();
  }

  Client client_ = daemon_.connect();
  Region region_ = std::move(*client_.create("a", {.capacity = 1 << 16, .slots = GetParam()}));
  std::vector<Process> sleepers_;
  std::vector<std::byte> payload_ = std::vector<std::byte>(1 << 16);
};
INSTANTIATE_TEST_SUITE_P(, HotPath, testing::Values(1, 4),
                         [](const auto& test) { return test.param == 1 ? "Classic" : "Snapshot"; });

using Calls = std::vector<long>;

TEST_P(HotPath, PublishingToNobodyAsleepMakesNoSystemCall) {
  const auto calls = trace_system_calls([&] {
    auto [client, region] = open_writer();
    for (int i = 0; i < rounds; ++i) {
      {
        const TracedSection section(publish);
        require(region.write(payload_).has_value(), "write");
      }
      const TracedSection section(publish_in_place);
      require(region.begin(100).has_value(), "begin");
      require(region.commit().has_value(), "commit");
    }
    return 0;
  });
  EXPECT_EQ(calls.at(publish), Calls{});
  EXPECT_EQ(calls.at(publish_in_place), Calls{});
  EXPECT_EQ(region_.sequence(), 4U + 2 * rounds);
}

TEST_P(HotPath, ReadingAndReleasingMakeNoSystemCall) {
  const auto calls = trace_system_calls([&] {
    auto [client, region] = open_writer();
    require(region.read().has_value(), "the first read of a classic region grows its copy");
    for (int i = 0; i < rounds; ++i) {
      {
        const TracedSection section(read);
        auto snapshot = region.read();
        require(snapshot && snapshot->data().size() == payload_.size(), "read");
      }
      {
        const TracedSection section(read_unchanged);
        require(!region.read(region.sequence()).value(), "unchanged");
      }
      {
        const TracedSection section(read_copy);
        require(region.read_into(payload_).has_value(), "read_into");
      }
      const TracedSection section(sequence);
      require(region.sequence() == 4, "sequence");
    }
    return 0;
  });
  for (const unsigned section : {read, read_unchanged, read_copy, sequence}) EXPECT_EQ(calls.at(section), Calls{});
}

TEST_P(HotPath, PublishingWakesAnyNumberOfSleepersWithOneSystemCall) {
  for (const unsigned count : {1U, 15U}) {  // 1, then 16
    add_sleepers(count);
    const auto calls = trace_system_calls([&] {
      auto [client, region] = open_writer();
      for (unsigned i = 0; i < rounds; ++i) {
        wait_for_sleepers(region);
        const TracedSection section(i);
        require(region.write(payload_).has_value(), "write");
      }
      return 0;
    });
    ASSERT_EQ(calls.size(), rounds);
    for (const auto& [round, made] : calls)
      EXPECT_EQ(made, Calls{SYS_write}) << sleepers_.size() << " sleepers, publish " << round;
  }
}

// A subscriber that has not looked yet is not called again.
TEST_P(HotPath, PublishingAgainBeforeAnyoneLookedMakesNoSystemCall) {
  const auto calls = trace_system_calls([&] {
    auto [client, region] = open_writer();
    auto reader = daemon_.connect();
    auto subscribed = reader.open("a", Access::read);
    require(subscribed->subscribe({1}).has_value(), "subscribe");
    std::array<Event, 4> events;
    while (reader.dispatch(events) > 0) {
    }
    for (unsigned i = 0; i < 3; ++i) {
      const TracedSection section(i);
      require(region.write(payload_).has_value(), "write");
    }
    return 0;
  });
  EXPECT_EQ(calls.at(0), Calls{SYS_write});
  EXPECT_EQ(calls.at(1), Calls{});
  EXPECT_EQ(calls.at(2), Calls{});
}

TEST_P(HotPath, DispatchingMakesOneSystemCallHoweverManyEventsItBrings) {
  const auto calls = trace_system_calls([&] {
    auto [client, region] = open_writer();
    auto reader = daemon_.connect();
    std::vector<Region> subscribed;
    for (std::uint64_t i = 0; i < 10; ++i) {
      subscribed.push_back(std::move(*reader.open("a", Access::read)));
      require(subscribed.back().subscribe({i}).has_value(), "subscribe");
    }
    std::array<Event, 16> events;
    while (reader.dispatch(events) > 0) {
    }
    for (int i = 0; i < rounds; ++i) {
      require(region.write(payload_).has_value(), "write");
      {
        const TracedSection section(ten_ready);
        require(reader.dispatch(events) == subscribed.size(), "events");
      }
      const TracedSection section(nten_ready);
      require(reader.dispatch(events) == 0, "no events");
    }
    return 0;
  });
  constexpr auto polls = [](long call) {
    return call == SYS_epoll_pwait || call == SYS_epoll_pwait2
#ifdef SYS_epoll_wait
           || call == SYS_epoll_wait
#endif
        ;
  };
  for (const unsigned section : {ten_ready, nten_ready}) {
    EXPECT_EQ(calls.at(section).size(), rounds);
    EXPECT_TRUE(std::ranges::all_of(calls.at(section), polls));
  }
}

// A call allocates, and a sanitizer's allocator asks the system for memory now and then.
Calls without_the_sanitizer(Calls calls) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  std::erase_if(calls, [](long call) { return call == SYS_mmap || call == SYS_munmap || call == SYS_madvise; });
#endif
  return calls;
}

TEST_P(HotPath, ACallMakesTwoSystemCalls) {
  const auto calls = trace_system_calls([&] {
    auto client = daemon_.connect();
    require(client.stat("a").has_value(), "the first grows what it keeps");
    for (int i = 0; i < rounds; ++i) {
      const TracedSection section(call);
      require(client.stat("a").has_value(), "stat");
    }
    return 0;
  });
  Calls expected;
  for (int i = 0; i < rounds; ++i) expected.insert(expected.end(), {SYS_sendmsg, SYS_recvmsg});
  EXPECT_EQ(without_the_sanitizer(calls.at(call)), expected);
}

class StreamHotPath : public DaemonTest {
 protected:
  // Both sides in the traced child.
  struct Opened {
    Client client;
    StreamWriter writer;
    StreamReader reader;
  };
  [[nodiscard]] Opened open() const {
    auto client = daemon_.connect();
    auto writer = client.create_stream_writer("s", {.chunk_size = 1 << 16});
    require(writer.has_value(), "create");
    auto reader = client.open_stream_reader("s");
    require(reader.has_value(), "open");
    return {std::move(client), std::move(*writer), std::move(*reader)};
  }
  static constexpr auto at_once = std::chrono::milliseconds(0);
  std::vector<std::byte> payload_ = std::vector<std::byte>(1 << 16);
};

TEST_F(StreamHotPath, AChunkMakesNoSystemCallWhileNobodySleeps) {
  const auto calls = trace_system_calls([&] {
    auto [client, writer, reader] = open();
    for (unsigned i = 0; i < rounds; ++i) {
      const TracedSection section(i < 8 ? 0 : 1);  // the first touch memory
      require(writer.begin(long_enough).has_value(), "begin");
      require(writer.commit(1 << 16).has_value(), "commit");
      require(writer.write(payload_, long_enough).has_value(), "write");
      auto one = reader.next(long_enough);
      auto two = reader.next(long_enough);
      require(one && two && (*two)->data().size() == payload_.size(), "next");
    }
    return 0;
  });
  EXPECT_EQ(calls.at(1), Calls{});
}

TEST_F(StreamHotPath, TryingInVainMakesNoSystemCall) {
  const auto calls = trace_system_calls([&] {
    auto [client, writer, reader] = open();
    for (unsigned i = 0; i < rounds; ++i) {
      const TracedSection section(0);
      require(reader.next(at_once).error().code == Errc::timed_out, "next");
    }
    while (writer.write(payload_, at_once)) {
    }
    for (unsigned i = 0; i < rounds; ++i) {
      const TracedSection section(1);
      require(writer.begin(at_once).error().code == Errc::timed_out, "begin");
    }
    return 0;
  });
  EXPECT_EQ(calls.at(0), Calls{});
  EXPECT_EQ(calls.at(1), Calls{});
}

// One who was called and has not looked yet is not called again.
TEST_F(StreamHotPath, AChunkWakesASleeperWithOneSystemCall) {
  const auto calls = trace_system_calls([&] {
    auto [client, writer, reader] = open();
    require(reader.subscribe({1}).has_value(), "subscribe");
    std::array<Event, 4> events;
    client.dispatch(events);
    for (unsigned i = 0; i < 3; ++i) {
      const TracedSection section(i);
      require(writer.begin(at_once).has_value(), "begin");
      require(writer.commit(1).has_value(), "commit");
    }
    return 0;
  });
  EXPECT_EQ(calls.at(0), Calls{SYS_write});
  EXPECT_EQ(calls.at(1), Calls{});
  EXPECT_EQ(calls.at(2), Calls{});
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Either side of a stream is killed at any moment, two hundred times: the other always learns, and nothing is left.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <filesystem>
#include <thread>

#include "support/daemon.h"
#include "support/payload.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

// Far longer than anything takes; only what is stuck for good reaches it.
constexpr auto stuck = 20s;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr unsigned kills = 60;
#else
constexpr unsigned kills = 200;
#endif
constexpr StreamOptions small{.chunk_size = 4096, .buffers = 4};

// From the kernel, so at any instruction.
void kill_this_process_in(std::chrono::nanoseconds time) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer{};
  const itimerspec when{{}, {0, std::max<long>(1, time.count())}};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || ::timer_settime(timer, 0, &when, nullptr) != 0)
    ::_exit(1);
}

// Bytes that are their own place in the stream.
std::byte byte_at(std::uint64_t offset) { return static_cast<std::byte>(mix(offset / 64)); }

// Each to the end, whatever it is; that is what it returns.
Errc write_on(StreamWriter& writer) {
  for (std::uint64_t chunk = 0;; ++chunk) {
    auto buffer = writer.begin(stuck);
    if (!buffer) return buffer.error().code;
    const auto length = 1 + mix(chunk) % buffer->size();
    const auto offset = writer.written();
    for (std::size_t i = 0; i < length; ++i) (*buffer)[i] = byte_at(offset + i);
    if (auto committed = writer.commit(length); !committed) return committed.error().code;
  }
}
Errc read_on(StreamReader& reader) {
  for (std::uint64_t offset = 0;;) {
    auto chunk = reader.next(stuck);
    if (!chunk) return chunk.error().code;
    if (!*chunk) return Errc::system;
    EXPECT_EQ((*chunk)->offset(), offset);
    for (const auto byte : (*chunk)->data())
      if (byte != byte_at(offset++)) {
        ADD_FAILURE() << "wrong byte at " << offset - 1;
        return Errc::system;
      }
  }
}

std::size_t own_fds() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

class StreamKill : public DaemonTest {
 protected:
  // When in a child's life it is killed: mostly while data flows, sometimes on the way there.
  static std::chrono::nanoseconds moment(unsigned round) {
    return std::chrono::nanoseconds(mix(round) % (round % 4 == 0 ? 400'000 : 3'000'000));
  }

  // The child opens its side of what we made. Rounds that are 0 modulo 4 are killed on their way in.
  template <class Open, class Use>
  Process start_victim(unsigned round, Open open, Use use, const Turnstile& opened) const {
    return Process::fork([this, round, open, use, &opened] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto client = daemon_.connect();
      if (round % 4 == 0) {
        opened.pass();
        kill_this_process_in(moment(round));
      }
      auto side = open(client);
      if (!side) return 1;
      if (round % 4 != 0) {
        opened.pass();
        kill_this_process_in(moment(round));
      }
      use(*side);
      ::pause();  // its end may come late
      return 0;
    });
  }

  // Nobody has anything any more: no region, no handle, no descriptor.
  void expect_nothing_left(std::size_t fds, std::size_t daemon_fds) {
    while (!client_.list()->empty()) std::this_thread::yield();
    while (client_.list_sessions()->size() > 1) std::this_thread::yield();
    EXPECT_EQ(own_fds(), fds);
    while (daemon_.open_fds() > daemon_fds) std::this_thread::yield();
  }

  Client client_ = daemon_.connect();
};

// In both tests below somebody else comes in the place of one that was killed before it had joined: that one never was
// a side of the stream.
TEST_F(StreamKill, AWriterLearnsOfItsReadersEnd) {
  ASSERT_TRUE(client_.list());
  const auto fds = own_fds();
  const auto daemon_fds = daemon_.open_fds();
  unsigned never_came = 0;
  unsigned early = 0;
  for (unsigned round = 0; round < kills / 2; ++round) {
    early += round % 4 == 0 ? 1 : 0;
    auto writer = client_.create_stream_writer("s", small);
    ASSERT_TRUE(writer) << writer.error().text();
    const Turnstile opened;
    auto victim = start_victim(
        round, [](Client& client) { return client.open_stream_reader("s"); },
        [](StreamReader& reader) { read_on(reader); }, opened);
    opened.wait();
    std::thread helping([&] {
      ASSERT_EQ(victim.wait(), 128 + SIGKILL);
      auto other = daemon_.connect();
      if (auto reader = other.open_stream_reader("s"); reader) {
        ++never_came;
        reader->cancel("in its place");
      }
    });
    const auto learned = write_on(*writer);
    helping.join();
    EXPECT_TRUE(learned == Errc::peer_gone || (learned == Errc::aborted && round % 4 == 0))
        << "round " << round << ": " << error_name(learned);
  }
  expect_nothing_left(fds, daemon_fds);
  EXPECT_LE(never_came, early);
  RecordProperty("never_came", static_cast<int>(never_came));
}

TEST_F(StreamKill, AReaderLearnsOfItsWritersEnd) {
  ASSERT_TRUE(client_.list());
  const auto fds = own_fds();
  const auto daemon_fds = daemon_.open_fds();
  for (unsigned round = 0; round < kills / 2; ++round) {
    auto reader = client_.create_stream_reader("s", small);
    ASSERT_TRUE(reader) << reader.error().text();
    const Turnstile opened;
    auto victim = start_victim(
        round, [](Client& client) { return client.open_stream_writer("s"); },
        [](StreamWriter& writer) { write_on(writer); }, opened);
    opened.wait();
    std::thread helping([&] {
      ASSERT_EQ(victim.wait(), 128 + SIGKILL);
      auto other = daemon_.connect();
      if (auto writer = other.open_stream_writer("s"); writer) writer->abort("in its place");
    });
    const auto learned = read_on(*reader);
    helping.join();
    EXPECT_TRUE(learned == Errc::peer_gone || (learned == Errc::aborted && round % 4 == 0))
        << "round " << round << ": " << error_name(learned);
  }
  expect_nothing_left(fds, daemon_fds);
}

// The one that dies has made the stream, and its names go with it.
TEST_F(StreamKill, WhatADeadMakerLeavesIsGone) {
  ASSERT_TRUE(client_.list());
  const auto fds = own_fds();
  const auto daemon_fds = daemon_.open_fds();
  for (unsigned round = 0; round < kills / 2; ++round) {
    const Turnstile made;
    auto victim = start_victim(
        round | 1, [](Client& client) { return client.create_stream_writer("s", small); },
        [](StreamWriter& writer) { write_on(writer); }, made);
    made.wait();
    if (auto reader = client_.open_stream_reader("s"); reader) {
      EXPECT_EQ(read_on(*reader), Errc::peer_gone) << round;
    } else {
      EXPECT_EQ(reader.error().code, Errc::no_such_region) << reader.error().text();
    }
    EXPECT_EQ(victim.wait(), 128 + SIGKILL);
    while (!client_.list()->empty()) std::this_thread::yield();
  }
  expect_nothing_left(fds, daemon_fds);
}

}  // namespace
}  // namespace memio::test

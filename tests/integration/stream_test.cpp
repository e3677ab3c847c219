// SPDX-License-Identifier: MIT
// Streams between processes, over the real daemon.

#include "memio/stream.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "open_region.h"
#include "require.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/stepped_process.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

constexpr auto long_enough = 20s;
constexpr auto at_once = 0ms;

template <class T>
Errc error_of(const Result<T>& result) {
  return result ? Errc::system : result.error().code;
}

class Stream : public DaemonTest {
 protected:
  // All that comes, as text; stops at an error.
  static std::string read_all(StreamReader& reader, Errc* error = nullptr) {
    std::string all;
    for (;;) {
      auto chunk = reader.next(long_enough);
      if (!chunk) {
        EXPECT_TRUE(error) << chunk.error().text();
        if (error) *error = chunk.error().code;
        return all;
      }
      if (!*chunk) return all;
      EXPECT_EQ((*chunk)->offset(), all.size());
      all += text((*chunk)->data());
    }
  }

  // A child that reads a stream to its end and then says how many bytes it had, 255 at most.
  Process start_reader(const std::string& name) const {
    return Process::fork([this, name] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto client = daemon_.connect();
      auto reader = require(client.open_stream_reader(name), "open");
      int bytes = 0;
      for (;;) {
        const auto chunk = require(reader.next(long_enough), "next");
        if (!chunk) break;
        bytes += static_cast<int>(chunk->data().size());
      }
      return bytes;
    });
  }

  // A child that opens its side, says so, and does nothing more until it is killed.
  template <class Open>
  Process start_idle(Open open) const {
    const Turnstile opened;
    auto child = Process::fork([&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto client = daemon_.connect();
      auto side = require(open(client), "open");
      opened.pass();
      ::pause();
      return 0;
    });
    opened.wait();
    return child;
  }

  Client client_ = daemon_.connect();
  Client other_ = daemon_.connect();
};

TEST_F(Stream, CarriesBytesWhoeverMakesIt) {
  for (const bool writer_makes : {true, false}) {
    const StreamOptions options{.chunk_size = 10, .buffers = 2, .total_length = 26};
    const std::string name = writer_makes ? "writers" : "readers";
    auto writer = writer_makes ? client_.create_stream_writer(name, options) : Result<StreamWriter>(fail(Errc::system));
    auto reader = writer_makes ? other_.open_stream_reader(name) : other_.create_stream_reader(name, options);
    if (!writer_makes) writer = client_.open_stream_writer(name);
    ASSERT_TRUE(writer) << writer.error().text();
    ASSERT_TRUE(reader) << reader.error().text();
    EXPECT_EQ(writer->chunk_size(), 10U);
    EXPECT_EQ(reader->chunk_size(), 10U);
    EXPECT_EQ(writer->total_length(), 26U);
    EXPECT_EQ(reader->total_length(), 26U);
    std::thread writing([&] {
      ASSERT_TRUE(writer->write(bytes("abcdefghijklmnopqrstuvwxyz"), long_enough));
      ASSERT_TRUE(writer->finish(long_enough));
    });
    EXPECT_EQ(read_all(*reader), "abcdefghijklmnopqrstuvwxyz");
    EXPECT_FALSE(reader->next(at_once).value()) << "the end stays the end";
    writing.join();
    EXPECT_EQ(writer->written(), 26U);
    EXPECT_EQ(writer->taken(), 26U);
    EXPECT_EQ(reader->taken(), 26U);
  }
}

TEST_F(Stream, ChunksAreFilledAndUsedWhereTheyLie) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 100, .buffers = 4});
  auto reader = other_.open_stream_reader("s");
  auto buffer = writer->begin(at_once);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->size(), 100U);
  EXPECT_EQ(writer->begin(at_once)->data(), buffer->data()) << "the same until it is committed";
  std::ranges::copy(bytes("one"), buffer->begin());
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::timed_out);
  ASSERT_TRUE(writer->commit(3));
  auto first = std::move(**reader->next(at_once));
  EXPECT_EQ(text(first.data()), "one");
  EXPECT_FALSE(first.last());
  std::ranges::copy(bytes("ONE"), buffer->begin());
  EXPECT_EQ(text(first.data()), "ONE") << "it is the same memory";
  ASSERT_TRUE(writer->begin(at_once));
  ASSERT_TRUE(writer->commit(0, true));
  EXPECT_FALSE(reader->next(at_once).value());
}

TEST_F(Stream, TheLastChunkCanHaveBytes) {
  auto writer = client_.create_stream_writer("s");
  auto reader = other_.open_stream_reader("s");
  EXPECT_EQ(writer->chunk_size(), 1U << 20);
  std::ranges::copy(bytes("all"), writer->begin(at_once)->begin());
  ASSERT_TRUE(writer->commit(3, true));
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::misuse);
  EXPECT_EQ(error_of(writer->finish(at_once)), Errc::timed_out) << "nothing was given back yet";
  {
    auto chunk = reader->next(at_once);
    EXPECT_TRUE((*chunk)->last());
    EXPECT_EQ(error_of(writer->finish(at_once)), Errc::timed_out);
  }
  EXPECT_TRUE(writer->finish(at_once));
}

TEST_F(Stream, CanBeEmpty) {
  auto writer = client_.create_stream_writer("s");
  auto reader = other_.open_stream_reader("s");
  EXPECT_EQ(error_of(writer->finish(at_once)), Errc::timed_out);
  EXPECT_EQ(read_all(*reader), "");
  EXPECT_TRUE(writer->finish(at_once));
}

TEST_F(Stream, AFullRingBlocksOrSaysSo) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 4, .buffers = 2});
  ASSERT_TRUE(writer->write(bytes("12345678"), at_once));
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::timed_out);
  EXPECT_EQ(error_of(writer->begin(20ms)), Errc::timed_out);
  EXPECT_EQ(error_of(writer->write(bytes("9"), at_once)), Errc::timed_out);
  EXPECT_EQ(writer->written(), 8U);
  auto reader = start_reader("s");
  ASSERT_TRUE(writer->write(bytes("9"), long_enough));
  ASSERT_TRUE(writer->finish(long_enough));
  EXPECT_EQ(reader.wait(), 9);
}

TEST_F(Stream, AnEmptyRingBlocksTheReader) {
  auto reader = client_.create_stream_reader("s", {.chunk_size = 4});
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::timed_out);
  EXPECT_EQ(error_of(reader->next(20ms)), Errc::timed_out);
  auto child = Process::fork([&] {
    auto client = daemon_.connect();
    auto writer = require(client.open_stream_writer("s"), "open");
    require(writer.write(bytes("hello, stream"), long_enough), "write");
    require(writer.finish(long_enough), "finish");
    return 0;
  });
  EXPECT_EQ(read_all(*reader), "hello, stream");
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Stream, ChunksCanBeGivenBackInAnyOrderAndOutliveTheirReader) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 4});
  auto reader = std::make_optional(std::move(*other_.open_stream_reader("s")));
  ASSERT_TRUE(writer->write(bytes("abcd"), at_once));
  std::vector<Chunk> chunks;
  for (int i = 0; i < 4; ++i) chunks.push_back(std::move(**reader->next(at_once)));
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::misuse) << "nothing can come while it holds all";
  chunks.erase(chunks.begin() + 1);
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::timed_out) << "the first is still in use";
  chunks.erase(chunks.begin());
  ASSERT_TRUE(writer->write(bytes("ef"), at_once));
  EXPECT_EQ(error_of(writer->finish(at_once)), Errc::timed_out) << "there is no room for the last";
  EXPECT_EQ(writer->taken(), 2U);
  chunks.clear();
  EXPECT_EQ(error_of(writer->finish(at_once)), Errc::timed_out);
  for (int i = 0; i < 2; ++i) chunks.push_back(std::move(**reader->next(at_once)));
  ASSERT_FALSE(reader->next(at_once).value());
  reader.reset();
  EXPECT_EQ(text(chunks.front().data()), "e");
  EXPECT_EQ(error_of(writer->finish(at_once)), Errc::timed_out);
  chunks.clear();
  EXPECT_TRUE(writer->finish(at_once));
}

TEST_F(Stream, MisuseIsAnError) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 4});
  EXPECT_EQ(error_of(writer->commit(1)), Errc::misuse);
  ASSERT_TRUE(writer->begin(at_once));
  EXPECT_EQ(error_of(writer->commit(5)), Errc::payload_too_large);
  EXPECT_EQ(error_of(client_.create_stream_writer("t", {.buffers = 3})), Errc::invalid_slots);
  EXPECT_EQ(error_of(client_.create_stream_reader("t", {.chunk_size = 0})), Errc::invalid_capacity);
  EXPECT_EQ(error_of(client_.create_stream_reader("t//", {})), Errc::invalid_name);
  EXPECT_EQ(error_of(client_.open_stream_reader("t")), Errc::no_such_region);
  EXPECT_TRUE(client_.list("t*")->empty());
}

TEST_F(Stream, HasOneWriterAndOneReader) {
  auto writer = client_.create_stream_writer("s");
  auto reader = client_.open_stream_reader("s");
  ASSERT_TRUE(reader) << reader.error().text();
  EXPECT_EQ(error_of(other_.open_stream_writer("s")), Errc::busy);
  EXPECT_EQ(error_of(other_.open_stream_reader("s")), Errc::busy);
  EXPECT_EQ(error_of(other_.create_stream_reader("s")), Errc::region_exists);
  reader->cancel();
  reader = fail(Errc::system);
  EXPECT_EQ(error_of(other_.open_stream_reader("s")), Errc::busy) << "once and for all";
}

TEST_F(Stream, OneThatIsBeingMadeIsWaitedForAndThenRefused) {
  auto ring = client_.create("s__ctrl", {.capacity = 704, .slots = 1});
  EXPECT_EQ(error_of(other_.open_stream_reader("s")), Errc::busy);
  ASSERT_TRUE(ring->write(bytes("no ring")));
  EXPECT_EQ(error_of(other_.open_stream_reader("s")), Errc::corrupt);
}

TEST_F(Stream, NamesAreGoneWithWhoMadeThem) {
  for (int round = 0; round < 3; ++round) {
    auto writer = client_.create_stream_writer("s", {.buffers = 2});
    ASSERT_TRUE(writer) << writer.error().text();
    auto reader = other_.open_stream_reader("s");
    std::vector<std::string> names;
    const auto regions = client_.list("s*");
    for (const auto& region : *regions) names.push_back(region.name);
    EXPECT_EQ(names, (std::vector<std::string>{"s__ctrl", "s__data_0", "s__data_1"}));
    writer = fail(Errc::system);
    EXPECT_TRUE(client_.list("s*")->empty());
  }
  // What was made before one of the names turned out to be taken.
  auto taken = other_.create("s__data_2", {.capacity = 1});
  EXPECT_EQ(error_of(client_.create_stream_writer("s")), Errc::region_exists);
  EXPECT_EQ(client_.list("s*")->size(), 1U);
}

TEST_F(Stream, OneWhoMayUseItsRegionsMayUseTheStream) {
  auto writer = client_.create_stream_writer("s/x");
  const std::vector<Grant> grants = {{"s/x__*", {Right::read, Right::write}}};
  auto scoped = std::move(*Client::adopt(std::move(*client_.open_connection(grants))));
  auto reader = scoped.open_stream_reader("s/x");
  ASSERT_TRUE(reader) << reader.error().text();
  auto narrow =
      std::move(*Client::adopt(std::move(*client_.open_connection(std::vector<Grant>{{"s/x__*", {Right::read}}}))));
  EXPECT_EQ(error_of(narrow.open_stream_reader("s/x")), Errc::permission_denied);
}

// --- ends before the end ---

TEST_F(Stream, AWriterThatGivesUpIsHeardAfterItsChunks) {
  auto writer = client_.create_stream_writer("s");
  auto reader = other_.open_stream_reader("s");
  ASSERT_TRUE(writer->write(bytes("before"), at_once));
  writer->abort("the file ended early");
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::misuse);
  Errc error = Errc::system;
  EXPECT_EQ(read_all(*reader, &error), "before");
  EXPECT_EQ(error, Errc::aborted);
  EXPECT_EQ(reader->next(at_once).error().message, "the file ended early");
}

TEST_F(Stream, AReaderThatGivesUpIsHeardAtOnce) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 1});
  auto reader = other_.open_stream_reader("s");
  ASSERT_TRUE(writer->write(bytes("x"), at_once));
  std::thread cancelling([&] { reader->cancel("seen enough"); });
  const auto begun = writer->begin(long_enough);
  cancelling.join();
  EXPECT_EQ(error_of(begun), Errc::aborted);
  EXPECT_EQ(begun.error().message, "seen enough");
  EXPECT_EQ(error_of(writer->finish(long_enough)), Errc::aborted);
}

TEST_F(Stream, OneThatIsDestroyedEarlyHasGivenUp) {
  auto writer = client_.create_stream_writer("s");
  auto reader = other_.open_stream_reader("s");
  writer = fail(Errc::system);
  EXPECT_EQ(error_of(reader->next(long_enough)), Errc::aborted);

  reader = client_.create_stream_reader("s");
  writer = other_.open_stream_writer("s");
  ASSERT_TRUE(writer->write(bytes("x"), at_once));
  reader = fail(Errc::system);
  EXPECT_EQ(error_of(writer->finish(long_enough)), Errc::aborted);
}

TEST_F(Stream, AKilledWriterIsNoticed) {
  auto reader = client_.create_stream_reader("s");
  auto child = Process::fork([&] {
    auto client = daemon_.connect();
    auto writer = require(client.open_stream_writer("s"), "open");
    require(writer.write(bytes("last words"), long_enough), "write");
    ::raise(SIGKILL);
    return 0;
  });
  Errc error = Errc::system;
  EXPECT_EQ(read_all(*reader, &error), "last words");
  EXPECT_EQ(error, Errc::peer_gone);
  EXPECT_EQ(child.wait(), 128 + SIGKILL);
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::peer_gone) << "told again";
}

TEST_F(Stream, AKilledReaderIsNoticedByOneWhoSleeps) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 1});
  auto child = start_idle([](Client& client) { return client.open_stream_reader("s"); });
  ASSERT_TRUE(writer->write(bytes("x"), at_once));
  const auto id = ::gettid();
  std::thread killing([&] {
    while (!is_asleep(id)) std::this_thread::yield();
    child.signal(SIGKILL);
  });
  EXPECT_EQ(error_of(writer->begin(long_enough)), Errc::peer_gone);
  killing.join();
}

TEST_F(Stream, ADeathIsNoticedByOneWhoOnlyTries) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 1});
  auto child = start_idle([](Client& client) { return client.open_stream_reader("s"); });
  ASSERT_TRUE(writer->write(bytes("x"), at_once));
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::timed_out);
  child.signal(SIGKILL);
  child.wait();
  while (error_of(writer->begin(at_once)) == Errc::timed_out) std::this_thread::yield();
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::peer_gone);
}

// --- in an event loop ---

TEST_F(Stream, AnEventLoopIsToldOnBothSides) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 2});
  ASSERT_TRUE(writer->subscribe({7}));
  std::array<Event, 4> events;
  ASSERT_EQ(client_.dispatch(events), 1U) << "there is room";
  EXPECT_EQ(events[0].kind, Event::Kind::stream_writable);
  EXPECT_EQ(events[0].token.value, 7U);
  ASSERT_TRUE(writer->write(bytes("ab"), at_once));
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::timed_out);
  EXPECT_EQ(client_.dispatch(events), 0U);

  auto reader = other_.open_stream_reader("s");
  ASSERT_TRUE(reader->subscribe({8}));
  ASSERT_EQ(*other_.wait(events, long_enough), 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::stream_readable);
  EXPECT_EQ(events[0].token.value, 8U);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(reader->next(at_once));
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::timed_out);
  EXPECT_EQ(other_.dispatch(events), 0U);

  ASSERT_EQ(*client_.wait(events, long_enough), 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::stream_writable);
  ASSERT_TRUE(writer->write(bytes("c"), at_once));
  ASSERT_EQ(*other_.wait(events, long_enough), 1U);
  ASSERT_TRUE(reader->next(at_once));
  reader->unsubscribe();
  ASSERT_TRUE(writer->write(bytes("d"), at_once));
  EXPECT_EQ(other_.dispatch(events), 0U);
}

// A program with a loop of its own: it waits for get_fd() alone.
TEST_F(Stream, AllOfItComesThroughAnEventLoop) {
  constexpr int bytes_in_all = 200;
  auto writer = client_.create_stream_writer("s", {.chunk_size = 7, .buffers = 2});
  auto child = start_reader("s");
  ASSERT_TRUE(writer->subscribe({1}));
  std::array<Event, 4> events;
  int written = 0;
  while (written < bytes_in_all) {
    pollfd readable{client_.get_fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&readable, 1, 20'000), 1) << "lost wake-up after " << written;
    for (auto told = client_.dispatch(events); told > 0; --told) ASSERT_EQ(events[0].token.value, 1U);
    for (auto buffer = writer->begin(at_once); written < bytes_in_all && buffer; buffer = writer->begin(at_once)) {
      const auto length = std::min<std::size_t>(buffer->size(), static_cast<std::size_t>(bytes_in_all - written));
      ASSERT_TRUE(writer->commit(length));
      written += static_cast<int>(length);
    }
  }
  ASSERT_TRUE(writer->finish(long_enough));
  EXPECT_EQ(child.wait(), bytes_in_all);
}

TEST_F(Stream, AnEventLoopIsToldOfDeathAndGivingUp) {
  auto reader = client_.create_stream_reader("s");
  ASSERT_TRUE(reader->subscribe({1}));
  std::array<Event, 4> events;
  auto child = start_idle([](Client& client) { return client.open_stream_writer("s"); });
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::timed_out);
  child.signal(SIGKILL);
  while (error_of(reader->next(at_once)) == Errc::timed_out) ASSERT_EQ(*client_.wait(events, long_enough), 1U);
  EXPECT_EQ(error_of(reader->next(at_once)), Errc::peer_gone);

  auto writer = client_.create_stream_writer("t", {.chunk_size = 1, .buffers = 1});
  ASSERT_TRUE(writer->write(bytes("x"), at_once));
  ASSERT_TRUE(writer->subscribe({2}));
  auto other = other_.open_stream_reader("t");
  while (client_.dispatch(events) > 0) {
  }
  other->cancel("no");
  ASSERT_EQ(*client_.wait(events, long_enough), 1U);
  EXPECT_EQ(events[0].token.value, 2U);
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::aborted);
}

// --- without memiod ---

TEST_F(Stream, GoesOnWithoutMemiodAndIsClaimedAgain) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 1});
  auto child = start_reader("s");
  ASSERT_TRUE(writer->write(bytes("abc"), long_enough));
  daemon_.kill();
  ASSERT_TRUE(writer->write(bytes("defghi"), long_enough));
  daemon_.start();
  ASSERT_TRUE(client_.list()) << "found again";
  // Both have the ring again: the child, which only waits for chunks, too.
  while (client_.stat("s__ctrl")->region.handles < 2) std::this_thread::yield();
  ASSERT_TRUE(writer->write(bytes("j"), long_enough));
  ASSERT_TRUE(writer->finish(long_enough));
  EXPECT_EQ(child.wait(), 10);
}

TEST_F(Stream, OneThatDiedWhileMemiodWasAwayIsNoticed) {
  auto writer = client_.create_stream_writer("s", {.chunk_size = 1, .buffers = 1});
  auto child = start_idle([](Client& client) { return client.open_stream_reader("s"); });
  ASSERT_TRUE(writer->write(bytes("x"), at_once));
  daemon_.kill();
  child.signal(SIGKILL);
  child.wait();
  EXPECT_EQ(error_of(writer->begin(at_once)), Errc::timed_out) << "there is nobody who could know";
  daemon_.start();
  EXPECT_EQ(error_of(writer->begin(long_enough)), Errc::peer_gone);
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Writers and readers that are killed at any moment, over the real daemon: nothing is torn, nothing stays stuck, and
// those who are left go on.
//
// Two ways to choose the moment. At random, many times, by a timer that goes off in the middle of anything. And one by
// one: a child goes through a publish, or a lease and its release, instruction by instruction, and is killed at each in
// turn. The second finds windows that are too small for chance, such as the one between giving a lock back and waking
// who waits for it.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "open_region.h"
#include "support/daemon.h"
#include "support/payload.h"
#include "support/stepped_process.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

// Far longer than anything takes; only what is stuck for good reaches it.
constexpr auto stuck = 10s;
constexpr std::size_t capacity = 16 << 10;
constexpr std::uint64_t last_version = ~std::uint64_t{0};

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr unsigned kills = 200;
constexpr unsigned stepped_kills = 40;
#else
constexpr unsigned kills = 1000;
constexpr unsigned stepped_kills = 250;
#endif

bool is_whole(const Snapshot& snapshot) {
  if (snapshot.sequence() == 0) return snapshot.data().empty();
  return test::is_whole(snapshot.data(), snapshot.version(), capacity);
}

// Says why a child fails; what it returns is its exit code.
int complain(const char* what, const Error& error = {}) {
  std::fprintf(stderr, "child %d: %s: %s\n", ::getpid(), what, error.text().c_str());
  return 1;
}

template <class T>
T expect(Result<T> result, const char* what) {
  if (result) return std::move(*result);
  ::_exit(complain(what, result.error()));
}

// From the kernel, so at any instruction; nothing in the process takes part.
void kill_this_process_in(std::chrono::nanoseconds time) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer{};
  const itimerspec when{{}, {0, std::max<long>(1, time.count())}};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || ::timer_settime(timer, 0, &when, nullptr) != 0)
    ::_exit(complain("no timer"));
}

class Kill : public DaemonTest {
 protected:
  void create(unsigned slots) {
    region_.emplace(std::move(*client_.create("a", {.capacity = capacity, .slots = slots})));
    region_->set_write_timeout(stuck);
  }

  // The test's own writer, which outlives all.
  void publish(std::uint64_t version) {
    const auto length = payload_length(version, capacity);
    auto payload = region_->begin(length);
    ASSERT_TRUE(payload) << "stuck: " << payload.error().text();
    fill_payload(*payload, version);
    ASSERT_TRUE(region_->commit(version));
  }

  Client connect_child() const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return expect(Client::connect(daemon_.socket_path()), "connect");
  }

  int publish_until_killed(std::uint64_t seed) const {
    auto client = connect_child();
    auto region = expect(client.open("a", Access::write), "open");
    region.set_write_timeout(stuck);
    kill_this_process_in(std::chrono::nanoseconds(mix(seed) % 400'000));
    for (std::uint64_t version = mix(~seed);; version = mix(version)) {
      auto payload = expect(region.begin(payload_length(version, capacity)), "a killed writer's successor is stuck");
      fill_payload(payload, version);
      if (version % 16 == 0)
        region.abort();
      else
        expect(region.commit(version), "commit");
    }
  }

  // Checks every snapshot that it can get, until the last. `hold`: keeps each until it has the next, and checks it
  // again.
  int read_to_the_end(bool hold) const {
    auto client = connect_child();
    auto region = expect(client.open("a", Access::read), "open");
    const bool classic = region.info().slots == 1;
    std::optional<Snapshot> held;
    std::uint64_t seen = 0;
    for (;;) {
      expect(region.wait(seen, stuck), "missed a wake-up");
      auto snapshot = region.read();
      if (!snapshot && classic && snapshot.error().code == Errc::busy) continue;  // until the next write mends it
      if (!snapshot) return complain("read", snapshot.error());
      if (snapshot->version() == last_version) return 0;
      if (!is_whole(*snapshot)) return complain("torn");
      if (held && !is_whole(*held)) return complain("torn while it was leased");
      seen = snapshot->sequence();
      held.reset();
      if (hold && !classic) held = std::move(*snapshot);
    }
  }

  int read_until_killed(std::uint64_t seed) const {
    auto client = connect_child();
    auto region = expect(client.open("a", Access::read), "open");
    kill_this_process_in(std::chrono::nanoseconds(mix(seed) % 400'000));
    for (std::optional<Snapshot> held;;) {
      auto snapshot = expect(region.read(), "read");
      if (!is_whole(snapshot)) return complain("torn");
      held = std::move(snapshot);
      if (seed % 2 == 0) held.reset();
    }
  }

  // One that gives back the memory of what others publish meanwhile.
  int shrink_until_killed(std::uint64_t seed) const {
    auto client = connect_child();
    auto region = expect(client.open("a", Access::write), "open");
    region.set_write_timeout(stuck);
    kill_this_process_in(std::chrono::nanoseconds(mix(seed) % 400'000));
    for (;;) expect(region.shrink(), "shrink");
  }

  void expect_nothing_held() {
    // The broker clears up when it sees the connection end, which may be a little after the process ended.
    for (int i = 0; i < 100'000 && client_.stat("a")->region.handles > 1; ++i) std::this_thread::yield();
    EXPECT_EQ(client_.stat("a")->region.handles, 1U);
    EXPECT_EQ(memory().directory().writer, 0U);
    for (const auto& cell : memory().cells()) {
      EXPECT_EQ(cell.leases, 0U);
      EXPECT_EQ(cell.armed, 0U);
    }
  }

  void kill_writers(unsigned slots, unsigned count) {
    create(slots);
    publish(1);
    auto holder = Process::fork([&] { return read_to_the_end(true); });
    auto reader = Process::fork([&] { return read_to_the_end(false); });
    std::array<std::optional<Process>, 2> writers;
    for (unsigned killed = 0; killed < count; ++killed) {
      auto& writer = writers[killed % 2];
      if (writer) {
        ASSERT_EQ(writer->wait(), 128 + SIGKILL);
        ASSERT_NO_FATAL_FAILURE(publish(mix(killed)));
      }
      writer.reset();
      writer.emplace(Process::fork([&] { return publish_until_killed(killed); }));
    }
    for (auto& writer : writers) ASSERT_EQ(writer->wait(), 128 + SIGKILL);
    ASSERT_NO_FATAL_FAILURE(publish(last_version));
    EXPECT_EQ(holder.wait(), 0);
    EXPECT_EQ(reader.wait(), 0);
    RecordProperty("publishes", static_cast<int>(region_->sequence()));
    expect_nothing_held();
  }

  RegionMemory& memory() { return RegionAccess::memory(*region_); }

  Client client_ = daemon_.connect();
  std::optional<Region> region_;
};

TEST_F(Kill, AThousandWritersKilledAtRandomTearNothingAndBlockNobody) { kill_writers(4, kills); }

TEST_F(Kill, WritersOfAClassicRegionKilledAtRandomTearNothingAndBlockNobody) { kill_writers(1, kills / 4); }

TEST_F(Kill, AThousandReadersKilledAtRandomLeaveNoSlotLeased) {
  create(4);
  publish(1);
  std::array<std::optional<Process>, 3> readers;
  for (unsigned killed = 0; killed < kills; ++killed) {
    auto& reader = readers[killed % readers.size()];
    if (reader) {
      ASSERT_EQ(reader->wait(), 128 + SIGKILL);
    }
    reader.reset();
    // Three readers lease up to two slots each, so these have to wait for some to be given back or freed.
    for (unsigned i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(publish(mix(killed * 5 + i)));
    reader.emplace(Process::fork([&] { return read_until_killed(killed); }));
  }
  for (auto& reader : readers) ASSERT_EQ(reader->wait(), 128 + SIGKILL);
  expect_nothing_held();
  region_->set_write_timeout(0ms);
  for (unsigned i = 0; i < 10; ++i) ASSERT_NO_FATAL_FAILURE(publish(i));
}

TEST_F(Kill, AThousandShrinkersKilledAtRandomTearNothingAndBlockNobody) {
  create(3);
  publish(1);
  auto holder = Process::fork([&] { return read_to_the_end(true); });
  auto reader = Process::fork([&] { return read_to_the_end(false); });
  std::optional<Process> shrinker;
  for (unsigned killed = 0; killed < kills; ++killed) {
    shrinker.reset();
    shrinker.emplace(Process::fork([&] { return shrink_until_killed(killed); }));
    for (unsigned i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(publish(mix(killed * 20 + i)));
    ASSERT_EQ(shrinker->wait(), 128 + SIGKILL);
  }
  ASSERT_NO_FATAL_FAILURE(publish(last_version));
  EXPECT_EQ(holder.wait(), 0);
  EXPECT_EQ(reader.wait(), 0);
  expect_nothing_held();
}

#if defined(__x86_64__)

// Somebody who publishes in another thread, waiting for whatever is in the way.
class WaitingWriter {
 public:
  explicit WaitingWriter(Region& region)
      : thread_([this, &region] {
          id_ = ::gettid();
          const auto start = Clock::now();
          result_ = region.write({}, last_version);
          took_ = Clock::now() - start;
        }) {}
  ~WaitingWriter() {
    if (thread_.joinable()) thread_.join();
  }
  // Once something is in the way the futex is the only place where it sleeps.
  void wait_until_asleep() const {
    while (id_ == 0 || !is_asleep(id_)) std::this_thread::yield();
  }
  // A success at the last moment counts as none: a writer whose time is up looks once more whether it was forgotten.
  void expect_success(const char* otherwise) {
    thread_.join();
    EXPECT_TRUE(result_) << otherwise << ": " << result_.error().text();
    EXPECT_LT(took_, stuck) << otherwise << ", until its time was up";
  }

 private:
  std::atomic<pid_t> id_ = 0;
  Result<std::uint64_t> result_ = 0;
  Clock::duration took_{};
  std::thread thread_;
};

class KillStepByStep : public Kill {
 protected:
  // Counts the instructions of a whole run, then kills at each of them, or at every few so that it does not take too
  // long. `run` goes through so many steps and returns how many there were.
  void at_each_instruction(const std::function<unsigned(unsigned)>& run) {
    const unsigned instructions = run(~0U);
    const unsigned stride = instructions / stepped_kills + 1;
    RecordProperty("instructions", static_cast<int>(instructions));
    for (unsigned steps = 0; steps < instructions && !HasFailure(); steps += stride) {
      SCOPED_TRACE("killed after instruction " + std::to_string(steps) + " of " + std::to_string(instructions));
      run(steps);
    }
  }

  // What the child of this iteration has open; outlives its body, which is ended by a signal only.
  std::optional<Client> child_client_;
  std::optional<Region> child_region_;
  std::optional<Snapshot> child_snapshot_;

  void open_in_child(Access access) {
    child_client_.emplace(connect_child());
    child_region_.emplace(expect(child_client_->open("a", access), "open"));
    child_region_->set_write_timeout(stuck);
  }
};

TEST_F(KillStepByStep, AWriterMayDieAtAnyInstructionOfAPublish) {
  create(4);
  auto other_client = daemon_.connect();
  auto other = other_client.open("a", Access::write);
  other->set_write_timeout(stuck);
  ASSERT_TRUE(region_->subscribe({1}));
  std::array<std::byte, 64> bytes{};
  at_each_instruction([&](unsigned steps) {
    const auto publish = [&] { expect(child_region_->write(bytes), "write"); };
    SteppedProcess child(
        [&] {
          open_in_child(Access::write);
          publish();  // once, so that all functions are bound
        },
        publish);
    std::array<Event, 4> events;
    while (client_.dispatch(events) > 0) {
    }
    const auto seen = region_->sequence();

    // As soon as the child has the lock, another writer waits for it.
    std::optional<WaitingWriter> waiting;
    unsigned step = 0;
    while (step < steps && child.step()) {
      ++step;
      if (waiting || memory().directory().writer == 0) continue;
      waiting.emplace(*other);
      waiting->wait_until_asleep();
    }
    child.kill();

    if (waiting) waiting->expect_success("the next writer is stuck");
    if (region_->sequence() != seen) {
      auto told = client_.wait(events, stuck);
      EXPECT_TRUE(told && *told == 1) << "a subscriber sleeps through what was published";
    }
    auto snapshot = region_->read();
    EXPECT_TRUE(snapshot) << snapshot.error().text();
    EXPECT_TRUE(region_->write(bytes));
    return step;
  });
}

// One that waits is woken, and dies before it can do anything: the wake-up must not die with it.
TEST_F(KillStepByStep, AWriterMayDieAtAnyInstructionAfterItWasWoken) {
  create(4);
  auto other_client = daemon_.connect();
  auto other = other_client.open("a", Access::write);
  other->set_write_timeout(stuck);
  at_each_instruction([&](unsigned steps) {
    const auto publish = [&] { expect(child_region_->write({}), "write"); };
    SteppedProcess child(
        [&] {
          open_in_child(Access::write);
          publish();
        },
        publish);
    EXPECT_TRUE(region_->begin(0));
    child.run_to_system_call();  // that in which it sleeps
    child.start_step();
    while (!is_asleep(child.pid())) std::this_thread::yield();
    EXPECT_NE(memory().directory().writer & format::writer_waiting, 0U);
    WaitingWriter waiting(*other);
    waiting.wait_until_asleep();
    EXPECT_TRUE(region_->commit());
    unsigned step = 0;
    bool more = child.wait();
    for (; step < steps && more; ++step) more = child.step();
    child.kill();
    waiting.expect_success("the next writer is stuck");
    EXPECT_TRUE(region_->write({}));
    return step;
  });
}

TEST_F(KillStepByStep, AShrinkerMayDieAtAnyInstruction) {
  create(2);
  std::array<std::byte, 64> bytes{};
  at_each_instruction([&](unsigned steps) {
    const auto shrink = [&] { expect(child_region_->shrink(), "shrink"); };
    SteppedProcess child(
        [&] {
          open_in_child(Access::write);
          shrink();
        },
        shrink);
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(region_->write(bytes));
    unsigned step = 0;
    while (step < steps && child.step()) ++step;
    child.kill();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(region_->write(bytes)) << "a slot stays leased, or the lock taken";
    return step;
  });
}

TEST_F(KillStepByStep, AReaderMayDieAtAnyInstructionOfALease) {
  create(2);
  at_each_instruction([&](unsigned steps) {
    const auto read = [&] { child_snapshot_.emplace(expect(child_region_->read(), "read")); };
    SteppedProcess child(
        [&] {
          open_in_child(Access::read);
          read();
          child_snapshot_.reset();
        },
        read);
    unsigned step = 0;
    while (step < steps && child.step()) ++step;
    child.kill();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(region_->write({})) << "a slot stays leased";
    return step;
  });
}

TEST_F(KillStepByStep, AReaderMayDieAtAnyInstructionOfARelease) {
  create(2);
  at_each_instruction([&](unsigned steps) {
    SteppedProcess child(
        [&] {
          open_in_child(Access::read);
          for (int i = 0; i < 2; ++i) child_snapshot_ = expect(child_region_->read(), "read");
        },
        [&] { child_snapshot_.reset(); });
    EXPECT_TRUE(region_->write({}));  // the other slot
    WaitingWriter waiting(*region_);
    waiting.wait_until_asleep();
    unsigned step = 0;
    while (step < steps && child.step()) ++step;
    child.kill();
    waiting.expect_success("a slot is free, but nobody woke the writer");
    return step;
  });
}

#endif

}  // namespace
}  // namespace memio::test

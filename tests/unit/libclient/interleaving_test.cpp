// SPDX-License-Identifier: MIT
// The moments in which two handles meet, too rare to be left to chance.
//
// A reader is stopped between two of its accesses to shared memory by taking the page away from its mapping: the access
// faults, and the signal handler, which runs in the reader's thread at that very place, does what another program might
// do just then, and gives the page back. The fault is synchronous and the reader holds no lock, so the handler may do
// anything.
//
// A sleeper is made late by standing in for syscall(2) (the linker puts it in between: --wrap).

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "test_region.h"
#include "test_stream.h"

namespace {

// This thread comes back from a futex only when its time is up, even if it was woken before.
thread_local bool comes_back_late = false;

bool is_past(const timespec& time) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > time.tv_sec || (now.tv_sec == time.tv_sec && now.tv_nsec >= time.tv_nsec);
}

}  // namespace

extern "C" {
long __real_syscall(long number, ...);

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  const long result =
      __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  const int error = errno;
  const auto* until = reinterpret_cast<const timespec*>(arguments[3]);
  if (comes_back_late && number == SYS_futex && arguments[1] == FUTEX_WAIT_BITSET && until)
    while (!is_past(*until)) std::this_thread::yield();
  errno = error;
  return result;
}
}

namespace memio {
namespace {

using namespace std::chrono_literals;
using test::Handle;
using test::in;
using test::now;
using test::TestRegion;
using test::wait_until;

// A thread that tells when it sleeps.
class Sleeper {
 public:
  explicit Sleeper(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          id_ = ::gettid();
          work();
        }) {}
  void wait_until_asleep() {
    wait_until([&] {
      if (id_ == 0) return false;
      std::ifstream file("/proc/self/task/" + std::to_string(id_) + "/stat");
      const std::string stat{std::istreambuf_iterator<char>(file), {}};
      const auto name_end = stat.rfind(')');
      return name_end != std::string::npos && stat.compare(name_end, 3, ") S") == 0;
    });
  }
  void join() { thread_.join(); }

 private:
  std::atomic<pid_t> id_ = 0;
  std::thread thread_;
};

// The unlock that wakes a sleeper wakes only one. If that one's time is up, it must not go with the wake-up.
TEST(WriterLockInterleaving, OneWhoseTimeIsUpWhenItIsWokenDoesNotKeepTheLockFromTheNext) {
  TestRegion region(4);
  Handle holder(region.open_writer());
  Handle first(region.open_writer());
  Handle second(region.open_writer());
  ASSERT_TRUE(holder.writer.begin(1, now()));
  Sleeper late([&] {
    comes_back_late = true;
    if (first.writer.begin(1, in(300ms))) first.writer.abort();
  });
  late.wait_until_asleep();
  Sleeper next([&] {
    EXPECT_TRUE(second.writer.begin(1, in(15s))) << "the lock is free, but nobody was woken";
    second.writer.abort();
  });
  next.wait_until_asleep();
  ASSERT_TRUE(holder.writer.commit({}));
  late.join();
  next.join();
  EXPECT_EQ(region.directory().writer, 0U);
}

#if !defined(__SANITIZE_THREAD__)  // it reports what the handlers do as unsafe in a signal handler

class PageTrap {
 public:
  // The next access to the page at `page` that `protection` forbids is preceded by `action`.
  static void set(void* page, int protection, std::function<void()> action) {
    page_ = page;
    action_ = std::move(action);
    ASSERT_EQ(::mprotect(page, page_size(), protection), 0);
  }

  PageTrap() {
    struct sigaction action {};
    action.sa_sigaction = &PageTrap::on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigaction(SIGSEGV, &action, &before_);
  }
  PageTrap(const PageTrap&) = delete;
  ~PageTrap() {
    ::sigaction(SIGSEGV, &before_, nullptr);
    EXPECT_EQ(page_, nullptr) << "nobody came to this page";
  }

 private:
  static void on_fault(int, siginfo_t* info, void*) {
    const auto offset = static_cast<std::byte*>(info->si_addr) - static_cast<std::byte*>(page_);
    if (!page_ || offset < 0 || static_cast<std::uint64_t>(offset) >= page_size()) ::abort();
    ::mprotect(page_, page_size(), PROT_READ | PROT_WRITE);
    page_ = nullptr;
    const auto action = std::move(action_);
    action();
  }

  static inline void* page_ = nullptr;
  static inline std::function<void()> action_;
  struct sigaction before_ {};
};

// The reader has seen which slot is the latest, but by the time its lease shows, a writer is at work there.
TEST(ReaderInterleaving, MovesOnIfItsLeaseCameTooLate) {
  TestRegion region(2);
  Handle writer(region.open_writer());
  Handle reader(region.open(protocol::Access::write));  // its pages must be writable again after the trap
  writer.publish("old");
  const auto old_slot = region.latest_slot();
  PageTrap trap;
  PageTrap::set(&reader.memory.lease_table(), PROT_READ, [&] {
    writer.publish("newer");
    const auto payload = writer.writer.begin(3, now());
    ASSERT_TRUE(payload);
    ASSERT_EQ(writer.writer.slot(), old_slot);
    std::ranges::fill(*payload, std::byte{'x'});
  });
  const auto lease = reader.lease();
  EXPECT_EQ(test::text_of(lease.payload), "newer");
  EXPECT_EQ(lease.sequence, 2U);
  EXPECT_EQ(reader.memory.own_cell().leases, std::uint64_t{1} << lease.slot);
  writer.writer.abort();
  reader.reader.release(lease.slot);
}

// The lease of the reader before is dropped at once; but it was seen, and a writer sleeps because of it.
TEST(ReaderInterleaving, WakesAWriterThatSleepsBecauseOfALeaseThatCameTooLate) {
  TestRegion region(2);
  Handle writer(region.open_writer());
  Handle reader(region.open(protocol::Access::write));
  writer.publish("old");
  std::optional<Sleeper> waiting;
  PageTrap trap;
  PageTrap::set(&reader.memory.lease_table(), PROT_READ, [&] {
    writer.publish("newer");
    // Its lease is stored now; the next thing it does is to look at `latest` again.
    PageTrap::set(&reader.memory.directory(), PROT_NONE, [&] {
      waiting.emplace([&] { EXPECT_TRUE(writer.writer.begin(1, in(15s))) << "a slot is free, but nobody was woken"; });
      waiting->wait_until_asleep();
    });
  });
  const auto lease = reader.lease();
  EXPECT_EQ(test::text_of(lease.payload), "newer");
  ASSERT_TRUE(waiting);
  waiting->join();
  writer.writer.abort();
  reader.reader.release(lease.slot);
}

// The reader finds nothing new and arms; what is published between the two must not be slept through.
TEST(ReaderInterleaving, DoesNotSleepThroughWhatIsPublishedBeforeItIsArmed) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle reader(region.open(protocol::Access::write));
  PageTrap trap;
  PageTrap::set(&reader.memory.lease_table(), PROT_READ, [&] { writer.publish("in between"); });
  EXPECT_FALSE(reader.reader.arm(0));
  EXPECT_EQ(region.rings(), 0U) << "it was not armed yet";
}

TEST(ReaderInterleaving, IsRungForWhatIsPublishedOnceItIsArmed) {
  TestRegion region(4);
  Handle writer(region.open_writer());
  Handle reader(region.open(protocol::Access::write));
  PageTrap trap;
  PageTrap::set(&reader.memory.directory(), PROT_NONE, [&] { writer.publish("in between"); });
  EXPECT_FALSE(reader.reader.arm(0));
  EXPECT_EQ(region.rings(), 1U);
}

// A seqlock's reader must notice a write that goes on while it copies.
TEST(ReaderInterleaving, CopiesAClassicPayloadAgainIfItWasWrittenMeanwhile) {
  TestRegion region(1, 3 * page_size());
  Handle writer(region.open_writer());
  Handle reader(region.open(protocol::Access::write));
  writer.publish(std::string(3 * page_size(), 'a'), 7);
  PageTrap trap;
  auto* second_page = reinterpret_cast<std::byte*>(&reader.memory.header(0)) + page_size();
  PageTrap::set(second_page, PROT_NONE, [&] { writer.publish(std::string(3 * page_size(), 'b'), 7); });
  EXPECT_EQ(reader.read(), std::string(3 * page_size(), 'b'));
}

// A side of a stream finds nothing and says that it waits; what the other does in between must not be slept through.
TEST(StreamInterleaving, DoesNotSleepThroughWhatIsPutInBeforeItWaits) {
  test::TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  PageTrap trap;
  PageTrap::set(stream.memory().data(), PROT_READ, [&] {
    ASSERT_TRUE(writer.begin().value());
    writer.commit(1, false);
  });
  EXPECT_FALSE(reader.is_idle(Announce::yes).value());
  EXPECT_EQ(stream.rings_for_reader(), 0U) << "it did not wait yet";
}

TEST(StreamInterleaving, IsRungForWhatIsPutInOnceItWaits) {
  test::TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  PageTrap trap;
  PageTrap::set(stream.cells_page(), PROT_NONE, [&] {
    ASSERT_TRUE(writer.begin().value());
    writer.commit(1, false);
  });
  EXPECT_FALSE(reader.is_idle(Announce::yes).value());
  EXPECT_EQ(stream.rings_for_reader(), 1U);
}

TEST(StreamInterleaving, IsRungForWhatIsGivenBackOnceItWaits) {
  test::TestStream stream(1);
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_TRUE(writer.begin().value());
  writer.commit(1, false);
  PageTrap trap;
  PageTrap::set(stream.cells_page(), PROT_NONE, [&] { reader.give_back(reader.take().value()->number); });
  EXPECT_FALSE(writer.is_idle(Announce::yes).value());
  EXPECT_EQ(stream.rings_for_writer(), 1U);
}

// The writer is there when the reader asks, then puts in its last chunk and is gone: the chunk is not lost.
TEST(StreamInterleaving, TakesWhatIsPutInBetweenTheQuestionWhetherTheWriterLivesAndItsEnd) {
  test::TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  PageTrap trap;
  PageTrap::set(stream.cells_page(), PROT_NONE, [&] {
    ASSERT_TRUE(writer.begin().value());
    writer.commit(1, false);
    stream.end_writer();
  });
  EXPECT_FALSE(reader.is_idle(Announce::yes).value());
  EXPECT_TRUE(reader.take().value());
  EXPECT_EQ(reader.is_idle(Announce::yes).error().code, Errc::peer_gone);
}

#endif

}  // namespace
}  // namespace memio

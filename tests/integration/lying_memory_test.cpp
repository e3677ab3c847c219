// SPDX-License-Identifier: MIT
// A peer that writes lies into everything it shares with others: random bytes, and things that could nearly be true.
// Those who use the region get the errors that are documented, in bounded time, and touch nothing outside it (the
// kernel and the address sanitizer watch); memiod and all other regions notice nothing.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "open_region.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/payload.h"

namespace memio::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t capacity = 10'000;
constexpr auto long_enough = 20s;
// How long the lies go on at least, and what no single call may take, however slow the machine is.
constexpr auto how_long = 1500ms;
constexpr auto no_hang = 10s;

// The liar. Has the region open like anybody, and works on its own mappings.
class Liar {
 public:
  Liar(Region& region, std::uint64_t seed) : memory_(RegionAccess::memory(region)), random_(seed) {}

  [[noreturn]] void lie_for_ever() {
    for (;;) {
      for (auto lies = number(4); lies > 0; --lies) lie();
      for (auto others = number(20); others > 0; --others) std::this_thread::yield();
      // With the truth in between, so that not everything ends at the first check.
      if (number(2) == 0) mend();
    }
  }

 private:
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[number(values.size())];
  }

  format::Directory& directory() { return memory_.directory(); }
  format::LeaseTable& table() { return memory_.lease_table(); }
  // Often that of the latest publish, which most look at.
  format::SlotHeader& some_header() {
    const auto latest = format::index_of(directory().latest);
    const auto slots = memory_.geometry().slots;
    return memory_.header(latest < slots && number(2) == 0 ? latest : static_cast<unsigned>(number(slots)));
  }
  format::Cell& some_cell() { return table().cells[number(8)]; }

  void lie() {
    auto& latest = directory().latest;
    const auto sequence = format::sequence_of(latest);
    const auto slot = number(memory_.geometry().slots);
    switch (number(12)) {
      case 0:  // a slot that may not exist
        latest = format::pack_latest(sequence + number(3), number(64));
        break;
      case 1:  // a publish that never was, or long ago
        latest = format::pack_latest(one_of({sequence + 1, sequence - 1, std::uint64_t{0}, random_()}), slot);
        break;
      case 2:  // never the same twice
        for (int i = 0; i < 2000; ++i) latest = format::pack_latest(sequence + number(100), slot);
        break;
      case 3:
        some_header().length = one_of({capacity + 1, ~std::uint64_t{0}, random_(), std::uint64_t{capacity}});
        break;
      case 4: some_header().magic = random_(); break;
      case 5:
        table().cells_used =
            one_of({~std::uint32_t{0}, std::uint32_t{0}, format::max_cells + 1, std::uint32_t{1} << 31});
        break;
      case 6: some_cell().leases = one_of({~std::uint64_t{0}, random_(), std::uint64_t{0}}); break;
      case 7: some_cell().armed = one_of({sequence + 1, sequence + 2, random_()}); break;
      case 8: table().slot_wanted = static_cast<std::uint32_t>(one_of({std::uint64_t{1}, random_()})); break;
      case 9:
        directory().writer = static_cast<std::uint32_t>(
            one_of({random_(), number(8), number(8) | format::writer_waiting, std::uint64_t{format::writer_waiting}}));
        break;
      case 10: {  // a doorbell that is full
        const std::uint64_t nearly_all = ~std::uint64_t{0} - 1;
        [[maybe_unused]] const auto n = ::write(memory_.doorbell_fd(), &nearly_all, sizeof nearly_all);
        break;
      }
      default: lie_at_random(); break;
    }
  }

  void lie_at_random() {
    auto* header = reinterpret_cast<std::byte*>(&some_header());
    const auto spans = {std::pair(reinterpret_cast<std::byte*>(&directory()), sizeof(format::Directory)),
                        std::pair(reinterpret_cast<std::byte*>(&table()), std::size_t{256 + 8 * 64}),
                        std::pair(header, std::size_t{200})};
    const auto [start, size] = one_of<std::pair<std::byte*, std::size_t>>(spans);
    for (auto bytes = number(32); bytes > 0; --bytes) start[number(size)] = static_cast<std::byte>(number(256));
  }

  void mend() {
    const Geometry& geometry = memory_.geometry();
    const auto sequence = format::sequence_of(directory().latest) % 1'000'000;
    format::initialise_directory(directory(), geometry);
    for (unsigned i = 0; i < geometry.slots; ++i)
      memory_.store_header(i, {format::slot_magic(geometry.layout), number(100), number(capacity + 1)});
    directory().latest = format::pack_latest(sequence, geometry.classic() ? 0 : number(geometry.slots));
    directory().writer = 0;
    format::initialise_lease_table(table(), 1024);
    table().cells_used = 8;
    for (unsigned i = 0; i < 8; ++i) table().cells[i].leases = 0;
  }

  RegionMemory& memory_;
  std::mt19937_64 random_;
};

// One of those who are lied to. Counts what it was told.
class Victim {
 public:
  explicit Victim(const Daemon& daemon, Access access)
      : client_(daemon.connect()), region_(std::move(*client_.open("lied", access))) {
    region_.set_write_timeout(2ms);
  }

  // `result` is a success, or one of these errors.
  template <class T>
  bool allow(const char* what, const Result<T>& result, const std::set<Errc>& errors) {
    const auto took = Clock::now() - started_;
    EXPECT_LT(took, no_hang) << what;
    if (result) ++successes_;
    if (!result) ++failures_;
    EXPECT_TRUE(result || errors.contains(result.error().code)) << what << ": " << result.error().text();
    return result.has_value();
  }
  void start() { started_ = Clock::now(); }

  void write(std::mt19937_64& random) {
    const std::set<Errc> errors{Errc::busy, Errc::corrupt, Errc::evicted};
    start();
    auto payload = region_.begin(random() % (capacity + 1));
    if (!allow("begin", payload, errors)) return;
    expect_inside(*payload);
    fill_payload(*payload, random());
    start();
    if (random() % 8 == 0) return region_.abort();
    allow("commit", region_.commit(), errors);
  }

  void read(std::mt19937_64& random) {
    std::set<Errc> errors{Errc::corrupt};
    if (region_.info().slots == 1) errors.insert(Errc::busy);
    start();
    auto snapshot = region_.read();
    if (allow("read", snapshot, errors)) look_at(*snapshot);
    if (snapshot && random() % 4 == 0) held_.emplace(std::move(*snapshot));
    start();
    auto newer = region_.read(random() % 2 == 0 ? region_.sequence() : seen_);
    if (allow("read newer", newer, errors) && *newer) {
      seen_ = (*newer)->sequence();
      look_at(**newer);
    }
    start();
    allow("read_into", region_.read_into(copy_), errors);
    if (held_) look_at(*held_);
    if (random() % 4 == 0) held_.reset();
  }

  void wait(std::mt19937_64& random) {
    start();
    allow("wait", region_.wait(random() % 2 == 0 ? region_.sequence() : seen_, 1ms), {Errc::timed_out});
  }

  void be_told() {
    std::array<Event, 4> events;
    start();
    auto told = client_.wait(events, 1ms);
    allow("events", told, {});
    for (std::size_t i = 0; i < told.value_or(0); ++i) EXPECT_EQ(events[i].kind, Event::Kind::region_changed);
  }

  void be_lied_to(bool writes, bool subscribes, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    if (subscribes) {
      ASSERT_TRUE(region_.subscribe({1}));
    }
    // Until it has met with both, truth and lies; of a slow machine's time it may have had too little for that.
    const auto began = Clock::now();
    const auto done = [&] { return Clock::now() > began + how_long && successes_ > 0 && failures_ > 0; };
    while (!done() && Clock::now() < began + long_enough && !testing::Test::HasFailure()) {
      if (writes) write(random);
      read(random);
      if (subscribes) be_told();
      if (!subscribes && random() % 8 == 0) wait(random);
    }
    held_.reset();
    EXPECT_TRUE(client_.connected());
  }

  [[nodiscard]] unsigned successes() const { return successes_; }
  [[nodiscard]] unsigned failures() const { return failures_; }

 private:
  void look_at(const Snapshot& snapshot) {
    ASSERT_LE(snapshot.data().size(), capacity);
    if (region_.info().slots > 1) expect_inside(snapshot.data());
    std::ranges::copy(snapshot.data(), copy_.begin());
  }
  void expect_inside(std::span<const std::byte> payload) {
    const auto& memory = RegionAccess::memory(region_);
    for (unsigned slot = 0; slot < memory.geometry().slots; ++slot)
      if (memory.payload(slot).data() == payload.data()) return;
    ADD_FAILURE() << "a payload that is in no slot";
  }

  Client client_;
  Region region_;
  std::optional<Snapshot> held_;
  std::uint64_t seen_ = 0;
  std::vector<std::byte> copy_ = std::vector<std::byte>(capacity);
  Clock::time_point started_;
  unsigned successes_ = 0;
  unsigned failures_ = 0;
};

class LyingMemory : public DaemonTest, public testing::WithParamInterface<unsigned> {
 protected:
  Client client_ = daemon_.connect();
  Region lied_ = std::move(*client_.create("lied", {.capacity = capacity, .slots = GetParam()}));
  Region honest_ = std::move(*client_.create("honest", {.capacity = 100}));

  void expect_honest(const std::string& content) {
    ASSERT_TRUE(honest_.write(bytes(content)));
    EXPECT_EQ(text(honest_.read()->data()), content);
    auto state = client_.stat("honest");
    ASSERT_TRUE(state) << state.error().text();
    EXPECT_EQ(state->length, content.size());
  }

  // What memiod says while the memory that it shares is full of lies.
  void ask_memiod(Watcher& watcher) {
    auto state = client_.stat("lied");
    ASSERT_TRUE(state) << state.error().text();
    EXPECT_LE(state->length, capacity);
    for (const auto& handle : state->handle_states)
      for (const auto slot : handle.leases) EXPECT_LT(slot, GetParam());
    auto event = watcher.next();
    EXPECT_TRUE(event) << event.error().text();
    auto other = daemon_.connect();
    auto opened = other.open("lied", Access::read);
    EXPECT_TRUE(opened || opened.error().code == Errc::corrupt) << opened.error().text();
  }
};
INSTANTIATE_TEST_SUITE_P(, LyingMemory, testing::Values(1, 2, 4, 64),
                         [](const auto& test) { return std::to_string(test.param) + "Slots"; });

TEST_P(LyingMemory, IsAnErrorAndNothingElse) {
  Turnstile opened;  // by the others: a region full of lies cannot be opened at all
  auto liar = Process::fork([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    opened.wait();
    auto client = daemon_.connect();
    auto region = client.open("lied", Access::write);
    if (!region) return 1;
    Liar(*region, GetParam()).lie_for_ever();
  });
  std::vector<std::unique_ptr<Victim>> victims;
  victims.push_back(std::make_unique<Victim>(daemon_, Access::write));
  victims.push_back(std::make_unique<Victim>(daemon_, Access::write));
  victims.push_back(std::make_unique<Victim>(daemon_, Access::read));
  auto watcher = client_.watch("", true);
  ASSERT_TRUE(watcher);
  opened.pass();

  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < victims.size(); ++i)
    threads.emplace_back([&, i] { victims[i]->be_lied_to(i<2, i> 0, GetParam() * 10 + i); });
  for (const auto end = Clock::now() + how_long; Clock::now() < end && !HasFailure();) {
    ask_memiod(*watcher);
    expect_honest("honest");
  }
  for (auto& thread : threads) thread.join();
  for (const auto& victim : victims) {
    EXPECT_GT(victim->successes(), 0U);
    EXPECT_GT(victim->failures(), 0U) << "no lie was noticed";
  }

  liar.signal(SIGKILL);
  EXPECT_EQ(liar.wait(), 128 + SIGKILL) << "the liar ended by itself";
  expect_honest("still honest");
  ASSERT_TRUE(client_.remove("lied"));
  auto again = client_.create("lied", {.capacity = capacity, .slots = GetParam()});
  ASSERT_TRUE(again);
  ASSERT_TRUE(again->write(bytes("true")));
  EXPECT_EQ(text(again->read()->data()), "true");
}

// A doorbell that somebody has filled is emptied by the next publisher, and rings.
TEST_P(LyingMemory, AFullDoorbellStillWakes) {
  auto reader = daemon_.connect();
  auto region = reader.open("lied", Access::read);
  ASSERT_TRUE(region->subscribe({1}));
  std::array<Event, 4> events;
  const std::uint64_t nearly_all = ~std::uint64_t{0} - 1;
  for (int i = 0; i < 10; ++i) {
    while (reader.dispatch(events) > 0) {
    }
    [[maybe_unused]] const auto n = ::write(RegionAccess::memory(lied_).doorbell_fd(), &nearly_all, sizeof nearly_all);
    reader.dispatch(events);
    ASSERT_TRUE(lied_.write(bytes("x")));
    EXPECT_EQ(reader.wait(events, long_enough).value(), 1U);
  }
}

}  // namespace
}  // namespace memio::test

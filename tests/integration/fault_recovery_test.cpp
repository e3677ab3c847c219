// SPDX-License-Identifier: MIT
// The system has no memory, no descriptor or no room left just when one memiod goes on where another was: at each call
// of either that can say so. It may not succeed then; but nothing is lost, and the next one has it all.

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <memory>

#include "support/becomes.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/manager.h"
#include "support/shared_faults.h"

namespace memio::test {
namespace {

constexpr int most_calls = 500;

Client connect_to(const std::string& path) {
  auto client = Client::connect(path);
  if (!client) throw std::runtime_error(client.error().text());
  return std::move(*client);
}

// One that nobody has open: only memiod can bring it back.
void create_kept(const std::string& path, const std::string& name) {
  auto client = connect_to(path);
  auto region = client.create(name, {.capacity = 64, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(region) << region.error().text();
  ASSERT_TRUE(region->write(bytes(name), 41));
}

void expect_kept(Client& client, const std::string& name) {
  auto region = client.open(name, Access::write);
  ASSERT_TRUE(region) << region.error().text();
  const auto snapshot = region->read();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(text(snapshot->data()), name);
  EXPECT_EQ(snapshot->version(), 41U);
}

class RestoreFault : public SharedFaults, public testing::TestWithParam<int> {
 protected:
  Manager manager_{environment()};
};

// One that cannot bring something back ends, and its manager starts another.
TEST_P(RestoreFault, EverythingComesBack) {
  create_kept(manager_.socket_path(), "first");
  create_kept(manager_.socket_path(), "second");
  constexpr std::size_t all = 7;
  becomes([&] {
    manager_.pump();
    return manager_.stored() == all;
  });
  int call = 0;
  for (std::string failed = "nothing yet"; !failed.empty();) {
    ASSERT_LT(++call, most_calls);
    manager_.kill();
    fail_at(call, GetParam());
    const bool started = manager_.try_start();
    failed = stop();
    SCOPED_TRACE("call " + std::to_string(call) + ", " + failed);
    if (!started) manager_.start();
    EXPECT_TRUE(started || !failed.empty());
    auto client = connect_to(manager_.socket_path());
    expect_kept(client, "first");
    expect_kept(client, "second");
    manager_.pump();
    ASSERT_EQ(manager_.stored(), all);
    if (HasFailure()) return;
  }
  EXPECT_GT(call, 1) << "nothing could fail";
  EXPECT_EQ(manager_.stop(), 0);
}

// Without a manager: the one goes on where the other was, or the other goes on.
class TakeOverFault : public SharedFaults, public testing::TestWithParam<int> {
 protected:
  [[nodiscard]] Process start(const std::vector<std::string>& more = {}) const {
    return start_unmanaged(path_, more, environment());
  }
  // Which of two ends first; the processes' own descriptors tell.
  static bool ends_first(const Process& one, const Process& other) {
    constexpr int longest = 20'000;
    const UniqueFd first = one.pidfd();
    const UniqueFd second = other.pidfd();
    std::array<pollfd, 2> waiting = {{{first.get(), POLLIN, 0}, {second.get(), POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), longest) < 1) throw std::runtime_error("neither ends");
    return waiting[0].revents != 0;
  }
  [[nodiscard]] Client connect() const {
    for (const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);;) {
      auto client = Client::connect(path_);
      if (client) return std::move(*client);
      if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("nobody listens any more");
    }
  }

  // Lets another take over; whether it did.
  bool take_over() {
    auto next = std::make_unique<Process>(start({"--takeover"}));
    const bool taken_over = ends_first(*serving_, *next);
    if (taken_over) std::swap(serving_, next);
    EXPECT_EQ(next->wait(), taken_over ? 0 : 1);
    return taken_over;
  }
  void expect_all_kept() {
    auto client = connect();
    expect_kept(client, "first");
    expect_kept(client, "second");
  }
  // Whether the one that goes on still learns of publishes, and tells.
  void expect_told(Watcher& watcher) {
    auto client = connect();
    auto region = client.open("first", Access::write);
    ASSERT_TRUE(region && region->write(bytes("first"), 41));
    auto event = watcher.wait(std::chrono::seconds(20));
    while (event && event->kind != EventKind::version) event = watcher.wait(std::chrono::seconds(20));
    EXPECT_TRUE(event) << event.error().text();
  }
  void SetUp() override {
    { const auto is_there = connect(); }
    create_kept(path_, "first");
    create_kept(path_, "second");
  }

  TemporaryDirectory runtime_;
  std::string path_ = runtime_.path() + "/s";
  std::unique_ptr<Process> serving_ = std::make_unique<Process>(start());
};

TEST_P(TakeOverFault, WhateverFailsInTheOneThatHandsOver) {
  int call = 0;
  for (std::string failed = "nothing yet"; !failed.empty();) {
    ASSERT_LT(++call, most_calls);
    choose(serving_->pid());
    fail_at(call, GetParam());
    const bool taken_over = take_over();
    failed = stop();
    SCOPED_TRACE("call " + std::to_string(call) + ", " + failed);
    EXPECT_TRUE(taken_over || !failed.empty());
    expect_all_kept();
    if (HasFailure()) return;
  }
  EXPECT_GT(call, 1) << "nothing could fail";
}

TEST_P(TakeOverFault, WhateverFailsInTheOneThatTakesOver) {
  int call = 0;
  int kept_from_it = 0;
  for (std::string failed = "nothing yet"; !failed.empty();) {
    ASSERT_LT(++call, most_calls);
    auto listening = connect();
    auto watcher = listening.watch("first", true);
    ASSERT_TRUE(watcher);
    choose(-serving_->pid());
    fail_at(call, GetParam());
    const bool taken_over = take_over();
    failed = stop();
    SCOPED_TRACE("call " + std::to_string(call) + ", " + failed);
    EXPECT_TRUE(taken_over || !failed.empty());
    if (!taken_over) expect_told(*watcher);
    kept_from_it += taken_over ? 0 : 1;
    expect_all_kept();
    if (HasFailure()) return;
  }
  EXPECT_GT(kept_from_it, 4) << "hardly anything could fail";
}

const auto errors = testing::Values(ENOMEM, EMFILE, ENOSPC);
constexpr auto name_of = [](const auto& parameter) { return error_name(parameter.param); };
INSTANTIATE_TEST_SUITE_P(Errors, RestoreFault, errors, name_of);
INSTANTIATE_TEST_SUITE_P(Errors, TakeOverFault, errors, name_of);

}  // namespace
}  // namespace memio::test

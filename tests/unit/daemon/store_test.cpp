// SPDX-License-Identifier: MIT
#include "store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <cstdlib>
#include <list>

#include "support/notifications.h"
#include "support/process.h"
#include "test_registry.h"

namespace memio::broker {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// A manager that keeps what it is told to, as systemd does.
class Manager {
 public:
  Manager() { ::setenv("NOTIFY_SOCKET", notifications_.path().c_str(), 1); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() { ::unsetenv("NOTIFY_SOCKET"); }

  [[nodiscard]] int fd() const { return notifications_.fd(); }
  void read_one() {
    auto message = notifications_.receive();
    const auto name = message.text.substr(message.text.find("FDNAME=") + 7);
    if (message.text.starts_with("FDSTORE=1"))
      stored_[name] = std::move(message.fds);
    else if (message.text.starts_with("FDSTOREREMOVE=1"))
      stored_.erase(name);
  }
  // As it would pass them to the next memiod.
  [[nodiscard]] PassedFds passed() const {
    PassedFds passed;
    for (const auto& [name, fds] : stored_)
      for (const auto& fd : fds) passed.stored[name].emplace_back(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    return passed;
  }
  [[nodiscard]] std::size_t size() const { return stored_.size(); }
  void lose(const std::string& name) { stored_.erase(name); }
  [[nodiscard]] std::string some_region() const { return stored_.begin()->first; }

 private:
  const test::TemporaryDirectory directory_;
  test::Notifications notifications_{directory_.path() + "/notify"};
  std::map<std::string, std::vector<UniqueFd>> stored_;
};

class StoreTest : public testing::Test {
 protected:
  StoreTest() { EXPECT_THAT(open(), IsEmpty()); }

  // What a memiod that starts now gets back.
  std::vector<Store::Kept> open() {
    lives_.emplace_back();
    auto passed = manager_.passed();
    auto kept = store().open(passed, true);
    EXPECT_TRUE(kept);
    return std::move(*kept);
  }
  // SIGKILL.
  void die() {
    store().leave();
    registry_.emplace(limits_);
  }
  std::shared_ptr<Region> create(const std::string& name, protocol::Lifetime lifetime) {
    auto region = *registry_->create({.name = name, .capacity = 16, .lifetime = lifetime});
    region->set_record(store().keep(*region));
    return region;
  }
  // Lets the loop run until the manager has so many things.
  void until_stored(std::size_t count) {
    auto& loop = lives_.back().loop;
    auto reading = loop.add_io(manager_.fd(), EPOLLIN, [&](std::uint32_t) {
      manager_.read_one();
      if (manager_.size() == count) loop.exit(0);
    });
    auto limit = loop.add_timer([&] { loop.exit(1); });
    limit->start_timer(std::chrono::seconds(20));
    EXPECT_EQ(loop.run().value(), 0);
  }

  struct Life {
    EventLoop loop = std::move(*EventLoop::make());
    Notifier notifier{loop};
    Store store{loop, notifier};
  };
  Store& store() { return lives_.back().store; }

  Manager manager_;
  std::list<Life> lives_;  // of memiod; a test's regions may be of an earlier one
  Limits limits_;
  std::optional<TestRegistry> registry_{limits_};
};

TEST_F(StoreTest, WhatIsKeptComesBack) {
  const auto region = create("a", protocol::Lifetime::persistent);
  ASSERT_TRUE(region->take_cell());
  until_stored(2);
  die();
  auto kept = open();
  ASSERT_THAT(kept, SizeIs(1));
  EXPECT_EQ(kept[0].record.spec.name, "a");
  EXPECT_EQ(store().last_generation(), region->generation());
  EXPECT_TRUE(region->is_same_memory(kept[0].fds));
  auto back = registry_->restore(kept[0].record, std::move(kept[0].fds),
                                 [&](Region& r) { r.set_record(store().go_on(kept[0].index, r)); });
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ((*back)->generation(), region->generation());
  EXPECT_TRUE((*back)->claim_cell(1));
  EXPECT_FALSE((*back)->claim_cell(2)) << "whatever the lease table says";
}

TEST_F(StoreTest, SessionRegionsAreGivenToTheManagerIfTheyLast) {
  registry_->remove(create("brief", protocol::Lifetime::session));
  const auto lasting = create("lasting", protocol::Lifetime::session);
  until_stored(2);
  die();
  const auto kept = open();
  ASSERT_THAT(kept, SizeIs(1));
  EXPECT_EQ(kept[0].record.spec.name, "lasting");
}

TEST_F(StoreTest, WhatIsGoneIsForgotten) {
  create("a", protocol::Lifetime::persistent);
  until_stored(2);
  registry_->remove(registry_->find("a"));
  manager_.read_one();
  EXPECT_EQ(manager_.size(), 1U) << "the ledger alone";
  die();
  EXPECT_THAT(open(), IsEmpty());
}

TEST_F(StoreTest, ARecordWithoutDescriptorsAndTheReverseAreDropped) {
  const auto one = create("one", protocol::Lifetime::persistent);
  const auto other = create("other", protocol::Lifetime::persistent);
  until_stored(3);
  manager_.lose(manager_.some_region());
  die();
  EXPECT_THAT(open(), SizeIs(1));
  die();
  manager_.lose("ledger");
  EXPECT_THAT(open(), IsEmpty());
  manager_.read_one();  // a new ledger
  manager_.read_one();  // and no region
  EXPECT_EQ(manager_.size(), 1U);
}

TEST_F(StoreTest, ManyAreGivenSlowlyButAllAre) {
  constexpr std::size_t many = 1003;
  for (std::size_t i = 0; i < many; ++i) create("r" + std::to_string(i), protocol::Lifetime::persistent);
  registry_->remove(registry_->find("r1001"));  // before its turn
  until_stored(many);
  die();
  EXPECT_THAT(open(), SizeIs(many - 1));
}

}  // namespace
}  // namespace memio::broker

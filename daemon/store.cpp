// SPDX-License-Identifier: MIT
#include "store.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>

#include "log.h"

namespace memio::broker {

namespace {

// All that is stored is named in one variable of the next memiod's environment, which may have 128 KiB. With names of
// three letters that is room for these. memiod.service has the same number of descriptors.
constexpr std::size_t most_regions = 10'000;
constexpr std::size_t most_session_regions = 1'000;
// What is beyond these costs the manager up to a tenth of a second a region, so it is given them slowly.
constexpr std::size_t most_at_once = 1'000;
constexpr std::chrono::milliseconds pause{200};
constexpr std::chrono::milliseconds tick{500};

// A region's name in the store: short, see above.
std::string name_of(Ledger::Index index) {
  constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
  std::string name;
  do {
    name += digits[index % digits.size()];
    index /= static_cast<Ledger::Index>(digits.size());
  } while (index != 0);
  return name;
}

std::uint64_t inode_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

// Which of a region's descriptors is which. One that is none of them is taken for the doorbell: whether it is one is
// checked with all the rest.
Region::Fds sort(std::vector<UniqueFd> fds, const RegionRecord& record) {
  Region::Fds sorted;
  for (auto& fd : fds) {
    const auto inode = inode_of(fd.get());
    auto& place = inode == record.region_inode   ? sorted.region
                  : inode == record.leases_inode ? sorted.leases
                                                 : sorted.doorbell;
    place = std::move(fd);
  }
  return sorted;
}

}  // namespace

Record::~Record() { store_.erase(index_); }

void Record::set_taken(std::uint32_t cell, bool taken) noexcept {
  if (!store_.left_) store_.ledger_->set_taken(index_, cell, taken);
}

void Record::set_creator_cell(std::uint32_t cell) noexcept {
  if (!store_.left_) store_.ledger_->set_creator_cell(index_, cell);
}

void Record::set_nameless() noexcept {
  if (!store_.left_) store_.ledger_->set_nameless(index_);
}

void Record::set_unused_since(std::chrono::microseconds when) noexcept {
  if (!store_.left_) store_.ledger_->set_unused_since(index_, when);
}

Store::Store(EventLoop& loop, Notifier& notifier) : notifier_(notifier) {
  if (auto timer = loop.add_timer([this] { give_those_that_lasted(); })) timer_ = std::move(*timer);
  if (auto timer = loop.add_timer([this] { give_next(); })) next_timer_ = std::move(*timer);
}

Result<void> Store::open_ledger(PassedFds& passed, bool stored) {
  if (auto old = passed.stored.extract(ledger_name); !old.empty()) {
    auto ledger = Ledger::read(std::move(old.mapped().front()));
    if (ledger) {
      ledger_.emplace(std::move(*ledger));
      if (!stored) notifier_.store(ledger_name, {ledger_->fd()});
      return {};
    }
    // Whoever starts this memiod again then finds it all as it was; or the one that hands it over goes on.
    if (!stored || ledger.error().code == Errc::out_of_resources) return fail(std::move(ledger.error()));
    log_error("regions come back by their clients alone: {}", ledger.error().text());
    notifier_.forget(ledger_name);
  }
  auto ledger = Ledger::make();
  if (!ledger) return fail(std::move(ledger.error()));
  ledger_.emplace(std::move(*ledger));
  notifier_.store(ledger_name, {ledger_->fd()});
  return {};
}

Result<std::vector<Store::Kept>> Store::open(PassedFds& passed, bool stored) {
  if (auto opened = open_ledger(passed, stored); !opened) return fail(std::move(opened.error()));
  std::vector<Kept> kept;
  for (const auto index : ledger_->indices()) {
    auto record = ledger_->get(index);
    auto fds = passed.stored.extract(name_of(index));
    entries_[index] = {.stored = stored && !fds.empty()};
    stored_ += entries_[index].stored ? 1 : 0;
    if (record && !fds.empty()) {
      auto sorted = sort(std::move(fds.mapped()), *record);
      kept.push_back({index, std::move(*record), std::move(sorted)});
    } else {
      log_warning("a region does not come back unless its clients show it: {}",
                  record ? record->spec.name + " was not stored" : record.error().text());
      drop(index);
    }
  }
  for (const auto& [name, fds] : passed.stored) {
    log_warning("dropping {} stored descriptors named {}, of which the ledger knows nothing", fds.size(), name);
    notifier_.forget(name);
  }
  passed.stored.clear();
  return kept;
}

void Store::begin() noexcept {
  for (const auto index : std::exchange(dropped_, {})) erase(index);
}

std::unique_ptr<Record> Store::go_on(Ledger::Index index, const Region& region) {
  entries_[index].fds = region.fds();
  entries_[index].session = region.lifetime() == protocol::Lifetime::session;
  give(index);
  return std::make_unique<Record>(*this, index);
}

std::unique_ptr<Record> Store::keep(const Region& region) {
  auto index = ledger_->add({.spec = region.spec(),
                             .region_inode = inode_of(region.fds()[0]),
                             .leases_inode = inode_of(region.fds()[1]),
                             .taken = region.taken(),
                             .creator_cell = region.creator_cell(),
                             .owner = region.owner()});
  if (!index) {
    log_warning("the region {} would not come back after a restart: {}", region.name(), index.error().text());
    return nullptr;
  }
  ledger_->raise_generation(region.generation());
  const bool session = region.lifetime() == protocol::Lifetime::session;
  entries_[*index] = {.fds = region.fds(), .session = session};
  if (session)
    give_later(*index);
  else
    give(*index);
  return std::make_unique<Record>(*this, *index);
}

void Store::give_later(Ledger::Index index) {
  if (!notifier_.has_manager()) return;
  new_.push_back(index);
  timer_.start_timer(tick);
}

void Store::give_those_that_lasted() {
  for (const auto index : std::exchange(lasted_, std::exchange(new_, {}))) give(index);
  if (!lasted_.empty()) timer_.start_timer(tick);
}

void Store::give(Ledger::Index index) {
  const auto found = entries_.find(index);
  if (found == entries_.end() || found->second.stored || !notifier_.has_manager()) return;
  if (stored_ >= (found->second.session ? most_session_regions : most_regions)) {
    if (!std::exchange(told_full_, true))
      log_warning("{} regions are stored with the service manager; others come back only by their clients", stored_);
  } else if (stored_ >= most_at_once) {
    waiting_.push_back(index);
    next_timer_.start_timer(pause);
  } else {
    give_now(index);
  }
}

void Store::give_next() {
  const auto index = waiting_.front();
  waiting_.pop_front();
  const auto found = entries_.find(index);
  if (found != entries_.end() && !found->second.stored && stored_ < most_regions) give_now(index);
  if (!waiting_.empty()) next_timer_.start_timer(pause);
}

void Store::give_now(Ledger::Index index) {
  auto& entry = entries_.at(index);
  entry.stored = true;
  ++stored_;
  notifier_.store(name_of(index), entry.fds);
}

void Store::erase(Ledger::Index index) noexcept {
  if (left_) return;
  const auto found = entries_.find(index);
  if (found->second.stored) {
    --stored_;
    notifier_.forget(name_of(index));
  }
  entries_.erase(found);
  ledger_->erase(index);
}

std::vector<std::pair<std::string, std::vector<int>>> Store::contents() const {
  std::vector<std::pair<std::string, std::vector<int>>> all = {{ledger_name, {ledger_->fd()}}};
  for (const auto& [index, entry] : entries_) all.emplace_back(name_of(index), entry.fds);
  return all;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

// What outlives memiod: the ledger, and the descriptors of the regions in it. The service manager keeps copies of the
// descriptors (FileDescriptorStoreMax=) and gives them back when it starts memiod again, however that ended.
//
// The manager compares each descriptor that it is given with all that it has, so the cost of keeping n regions grows
// with n * n (DESIGN.md has figures). So what lives for less than a second is never given to it, and no more than the
// first thousand of session regions, whose creators bring them back themselves.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "event_loop.h"
#include "ledger.h"
#include "notifier.h"
#include "passed_fds.h"
#include "record.h"

namespace memio::broker {

class Store {
 public:
  // A region that an earlier memiod had: what the ledger says of it, and its files.
  struct Kept {
    Ledger::Index index;
    RegionRecord record;
    Region::Fds fds;
  };

  // What the ledger's file is stored and handed over as.
  static constexpr const char* ledger_name = "ledger";

  Store(EventLoop& loop, Notifier& notifier);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Opens the ledger, that of an earlier memiod if it was passed; the regions that it and the descriptors agree upon.
  // What is left over is dropped, with a line in the log. `stored`: it is the manager that passed them, and it still
  // has them. Errors: out_of_resources; corrupt, if a ledger that another memiod has handed over cannot be read.
  Result<std::vector<Kept>> open(PassedFds& passed, bool stored);
  // The record of a region that came back goes on; one of a region that did not ends.
  std::unique_ptr<Record> go_on(Ledger::Index index, const Region& region);
  // The record of one that cannot come back ends with begin().
  void drop(Ledger::Index index) { dropped_.push_back(index); }
  // From now on the ledger is ours: an earlier memiod that handed it over, and could still have gone on, has ended.
  void begin() noexcept;
  // Keeps a region from now on. Null, with a line in the log, if it cannot be.
  std::unique_ptr<Record> keep(const Region& region);

  // The ledger's file and all regions' descriptors, under their names in the store.
  [[nodiscard]] std::vector<std::pair<std::string, std::vector<int>>> contents() const;
  [[nodiscard]] std::uint64_t last_generation() const noexcept { return ledger_->last_generation(); }

  // memiod ends: from now on nothing is written and nothing given back, so that the next one finds all as it is.
  void leave() noexcept { left_ = true; }

 private:
  friend class Record;
  struct Entry {
    std::vector<int> fds;  // the region's
    bool session = false;
    bool stored = false;
  };

  Result<void> open_ledger(PassedFds& passed, bool stored);
  void give_later(Ledger::Index index);
  void give_those_that_lasted();
  void give(Ledger::Index index);
  void give_next();
  void give_now(Ledger::Index index);
  void erase(Ledger::Index index) noexcept;

  Notifier& notifier_;
  std::optional<Ledger> ledger_;
  std::map<Ledger::Index, Entry> entries_;
  std::vector<Ledger::Index> dropped_;
  std::size_t stored_ = 0;
  std::vector<Ledger::Index> new_;     // since the timer last fired
  std::vector<Ledger::Index> lasted_;  // until the timer fires again
  EventSource timer_;
  std::deque<Ledger::Index> waiting_;  // beyond what is given at once
  EventSource next_timer_;
  bool left_ = false;
  bool told_full_ = false;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

// The daemon itself: takes connections, answers calls, and says how it is doing. One thread; nothing here blocks.

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "account.h"
#include "commands.h"
#include "config.h"
#include "doorbells.h"
#include "event_loop.h"
#include "idle.h"
#include "idle_shrink.h"
#include "linger.h"
#include "notifier.h"
#include "publish_times.h"
#include "registry.h"
#include "session.h"
#include "store.h"
#include "topics.h"
#include "turns.h"
#include "watch.h"

namespace memio::broker {

class Broker {
 public:
  // Error: system.
  static Result<std::unique_ptr<Broker>> make(EventLoop& loop, Config config, Notifier& notifier, Store& store);
  // Regions and connections are left as they are, for the next memiod: their clients go on.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Takes back what an earlier memiod had, and changes nothing that it would go on with. Error: out_of_resources; then
  // it all has to stay where it is, for another memiod.
  Result<void> restore(std::vector<Store::Kept>&& kept);
  // Begins its work: no earlier memiod is there any more.
  void begin();
  // Calls back when nothing has been owned for so long: no region, and no connection. Error: system.
  Result<void> on_idle(std::chrono::milliseconds delay, std::function<void()> on_idle) {
    return idle_.start(loop_, delay, std::move(on_idle));
  }

  // Hands everything over to the memiod at the other end of a session, and ends the loop. Errors: permission_denied,
  // and those of hand_over(); then nothing has changed.
  Result<void> hand_over_to(Session& session);
  // Whether another memiod has everything now.
  [[nodiscard]] bool handed_over() const noexcept { return handed_over_; }

  // How many regions and connections there are, for people.
  [[nodiscard]] std::string status() const;

  // Takes connections from a listening socket.
  Result<void> listen(UniqueFd socket);

  // Goes on with a configuration that was read again; if it could not be read, says so and keeps the one it has.
  // Connections keep what they have; new limits are for what they ask for next.
  void configure(Result<Config> config);

  // What the handlers of methods.cpp work on.
  [[nodiscard]] Registry& registry() noexcept { return registry_; }
  [[nodiscard]] Linger& linger() noexcept { return linger_; }
  [[nodiscard]] WatchHub& watches() noexcept { return hub_; }
  [[nodiscard]] const Limits& limits() const noexcept { return config_.limits; }
  [[nodiscard]] Accounts& accounts() noexcept { return accounts_; }
  [[nodiscard]] PublishTimes& publish_times() noexcept { return publish_times_; }
  [[nodiscard]] Commands& commands() noexcept { return commands_; }
  [[nodiscard]] Topics& topics() noexcept { return topics_; }
  // Ends what a session handles and listens to, and its calls.
  void forget_mailbox(Session& session);
  // Since memiod was started.
  struct Totals {
    std::uint64_t sessions = 0;
    std::uint64_t refused = 0;
    Session::Counts counts;
  };
  [[nodiscard]] Totals totals() const;
  // Whether the clients of an earlier memiod may still be coming.
  [[nodiscard]] bool regions_come_back() const noexcept {
    return std::chrono::steady_clock::now() - started_ < config_.limits.claims;
  }
  [[nodiscard]] std::chrono::system_clock::time_point start_time() const noexcept { return start_time_; }
  [[nodiscard]] const auto& sessions() const noexcept { return sessions_; }  // by id
  // A session on a socket that is connected already, for whom `maker` made it. Errors: limit_exceeded, system.
  Result<void> add_scoped_session(UniqueFd socket, Grants grants, Account& maker);

 private:
  struct Listener {
    UniqueFd socket;
    EventSource source;  // after the socket, so gone before it
  };

  Broker(EventLoop& loop, Config config, std::unique_ptr<Turns> turns, Notifier& notifier, Store& store);
  Result<void> start_sources();
  void accept_one(int listener);
  Result<void> admit(UniqueFd& socket);
  [[nodiscard]] Result<Grants> grants_of(uid_t uid) const;
  Result<void> add_session(UniqueFd socket, Session::Identity identity);
  void end_session(Session& session);
  void remove_leftover();
  void on_registry_change(const std::shared_ptr<Region>& region, Registry::Change change);
  void on_change();
  void give_back_memory();
  void update_status();
  void look_at_unread();

  EventLoop& loop_;
  Notifier& notifier_;
  Store& store_;
  Config config_;  // quotas and limits are looked up here by all that follow
  Accounts accounts_;
  Registry registry_;
  Doorbells doorbells_;
  WatchHub hub_;
  IdleShrink idle_shrink_;
  Linger linger_;
  PublishTimes publish_times_;
  EventSource call_timer_;
  Commands commands_;
  Topics topics_;
  std::unique_ptr<Turns> turns_;
  std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  std::uint64_t last_session_ = 0;
  std::uint64_t refused_ = 0;
  Session::Counts counts_;  // of sessions that have ended
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::system_clock::time_point start_time_ = std::chrono::system_clock::now();
  std::vector<std::shared_ptr<Region>> restored_;  // until begin()
  std::deque<std::weak_ptr<Region>> leftover_;     // of sessions that have ended, to be removed
  EventSource leftover_turn_;
  std::list<Listener> listeners_;
  bool ending_ = false;
  bool handed_over_ = false;
  UniqueFd spare_;               // given up for a moment when no descriptor is left to accept with
  std::size_t kept_memory_ = 0;  // unused bytes that the allocator kept when memory was given back last
  EventSource status_timer_;
  EventSource unread_timer_;
  std::string told_status_;
  Idle idle_;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

// The daemon itself: takes connections, answers calls, and says how it is doing. One thread; nothing here blocks.

#include <list>
#include <memory>
#include <string>

#include "doorbells.h"
#include "event_loop.h"
#include "idle.h"
#include "idle_shrink.h"
#include "linger.h"
#include "notifier.h"
#include "registry.h"
#include "session.h"
#include "store.h"
#include "watch.h"

namespace memio::broker {

class Broker {
 public:
  Broker(EventLoop& loop, const Limits& limits, Notifier& notifier, Store& store);
  // Regions and connections are left as they are, for the next memiod: their clients go on.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Takes back what an earlier memiod had.
  void restore(std::vector<Store::Kept> kept);
  // What there is to be read anew, is.
  void reload();
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

  // What the handlers of methods.cpp work on.
  [[nodiscard]] Registry& registry() noexcept { return registry_; }
  [[nodiscard]] Linger& linger() noexcept { return linger_; }
  [[nodiscard]] WatchHub& watches() noexcept { return hub_; }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] const auto& sessions() const noexcept { return sessions_; }
  // A session on a socket that is connected already. Errors: limit_exceeded, out_of_resources.
  Result<void> add_session(UniqueFd socket, Grants grants, std::optional<pid_t> pid);

 private:
  struct Listener {
    UniqueFd socket;
    EventSource source;  // after the socket, so gone before it
  };

  void accept_one(int listener);
  void end_session(Session& session);
  void on_registry_change(const std::shared_ptr<Region>& region, Registry::Change change);
  void on_change();
  void update_status();

  EventLoop& loop_;
  Limits limits_;
  Notifier& notifier_;
  Store& store_;
  Registry registry_;
  Doorbells doorbells_;
  WatchHub hub_;
  IdleShrink idle_shrink_;
  Linger linger_;
  std::list<std::unique_ptr<Session>> sessions_;
  std::list<Listener> listeners_;
  bool ending_ = false;
  bool handed_over_ = false;
  UniqueFd spare_;  // given up for a moment when no descriptor is left to accept with
  EventSource status_timer_;
  std::string told_status_;
  Idle idle_;
};

}  // namespace memio::broker

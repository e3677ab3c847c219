// SPDX-License-Identifier: MIT
#pragma once

// The daemon itself: takes connections, answers calls, and says how it is doing. One thread; nothing here blocks.

#include <list>
#include <memory>
#include <string>

#include "doorbells.h"
#include "event_loop.h"
#include "idle_shrink.h"
#include "linger.h"
#include "registry.h"
#include "session.h"
#include "watch.h"

namespace memio::broker {

class Broker {
 public:
  Broker(EventLoop& loop, const Limits& limits);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

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
  void update_status();

  EventLoop& loop_;
  Limits limits_;
  Registry registry_;
  Doorbells doorbells_;
  WatchHub hub_;
  IdleShrink idle_shrink_;
  Linger linger_;
  std::list<std::unique_ptr<Session>> sessions_;
  std::list<Listener> listeners_;
  bool ending_ = false;
  UniqueFd spare_;  // given up for a moment when no descriptor is left to accept with
  EventSource status_timer_;
  std::string told_status_;
};

}  // namespace memio::broker

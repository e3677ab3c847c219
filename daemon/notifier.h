// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "event_loop.h"
#include "memio/unique_fd.h"

namespace memio::broker {

// Tells the service manager how memiod does, as sd_notify(3), but never waits: sd_notify() stands still while the
// manager has as much unread as its socket takes. What there is no room for waits here and goes out when there is,
// in order. Without a manager ($NOTIFY_SOCKET) nothing happens.
class Notifier {
 public:
  // The manager is the one of $NOTIFY_SOCKET. If it has a watchdog ($WATCHDOG_USEC) the loop answers it: it hears of a
  // loop that is stuck by hearing nothing.
  explicit Notifier(EventLoop& loop);
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  [[nodiscard]] bool has_manager() const noexcept { return !path_.empty(); }

  // Lines of sd_notify(3).
  void tell(std::string lines);
  // The same for what only its newest state is worth telling: one that still waits is replaced.
  void tell_status(const std::string& status);

  // Has the manager keep descriptors, for the next memiod to get under that name. They are borrowed, and must stay open
  // until forget().
  void store(const std::string& name, std::vector<int> fds);
  // Takes store() back.
  void forget(const std::string& name);

 private:
  enum class Kind : std::uint8_t { lines, status, watchdog, store };
  struct Message {
    Kind kind;
    std::string text;
    std::vector<int> fds{};
    std::string name{};
  };
  enum class Sent : std::uint8_t { yes, later, never };

  void add(Message message);
  void replace_or_add(Kind kind, std::string text);
  void flush();
  Sent send(const Message& message);
  Sent send_once(const Message& message);
  Sent connect();
  Sent wait_for_room();
  void answer_watchdog();

  EventLoop& loop_;
  std::string path_;
  std::list<Message> waiting_;
  std::map<std::string, std::list<Message>::iterator> waiting_stores_;  // by name
  UniqueFd socket_;
  std::optional<EventSource> writable_;  // while there is no room; after the socket, so gone before it
  EventSource retry_timer_;
  std::chrono::milliseconds watchdog_interval_{};
  EventSource watchdog_timer_;
};

}  // namespace memio::broker

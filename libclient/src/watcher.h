// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "deadline.h"
#include "memio/channel.h"
#include "memio/client.h"
#include "memio/message.h"

namespace memio {

// A connection of its own, because replies come in order and a watch never stops replying. When memiod goes away it
// waits for the core to find it again.
class Watcher::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(std::shared_ptr<detail::ClientCore> owner, Token name, std::string names, bool with_versions)
      : core(std::move(owner)), token(name), pattern(std::move(names)), versions(with_versions) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Sends the call on a fresh connection and waits for the first answer, so that an error is reported where it belongs.
  Result<void> start(UniqueFd socket);
  // The same without waiting.
  Result<void> begin(UniqueFd socket);
  // Goes on with a fresh connection.
  void resume(UniqueFd socket) noexcept;
  // The connection is over: for good, unless memiod is gone and may come back.
  void lose(Error reason) noexcept;
  // Reads what is there; true if there is something to tell.
  bool pump() noexcept;
  // Waits until pump() may find something. False if the deadline passed.
  Result<bool> wait(const Deadline& deadline);

  std::shared_ptr<detail::ClientCore> core;
  Token token;
  std::string pattern;
  bool versions;
  std::optional<Channel> channel;
  std::size_t source = 0;   // its place in the core
  bool registered = false;  // with the core
  bool lost = false;        // until the core has found memiod again
  bool resume_due = false;  // memiod was found, and could not give a connection
  std::deque<WatchEvent> events;
  bool ended = false;
  Error end_reason{Errc::disconnected};

 private:
  Result<void> send_call();
  Result<void> take(const Frame& frame);
};

}  // namespace memio

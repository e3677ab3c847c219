// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <memory>

#include "memio/channel.h"
#include "memio/client.h"
#include "memio/message.h"

namespace memio {

// A connection of its own, because replies come in order and a watch never stops replying.
class Watcher::Impl {
 public:
  Impl(std::shared_ptr<detail::ClientCore> owner, Channel connection, Token name)
      : core(std::move(owner)), channel(std::move(connection)), token(name) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Sends the call and waits for the first answer, so that an error is reported where it belongs.
  Result<void> start(std::string_view pattern, bool versions);
  // Reads what is there; true if there is something to tell.
  bool pump() noexcept;

  std::shared_ptr<detail::ClientCore> core;
  Channel channel;
  Token token;
  std::size_t source = 0;       // its place in the core
  bool registered = false;      // in the core's epoll
  std::deque<WatchEvent> events;
  bool ended = false;
  Error end_reason{Errc::disconnected};

 private:
  Result<void> take(Frame frame);
  void end(Error reason) noexcept;
};

}  // namespace memio

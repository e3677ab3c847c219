// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "../common/fd_source.h"
#include "memio/client.h"

namespace memio::webext {

// Who hears of what comes through a Link. Called outside of Client::dispatch, so it may do anything, drop the Link
// included.
class LinkListener {
 public:
  virtual ~LinkListener() = default;
  virtual void on_changed(Token token) = 0;
  // A watch has something to tell.
  virtual void on_watch(Token token) = 0;
  // A command that is handled was called; calls of it were cancelled; a message has come.
  virtual void on_call(Token token) = 0;
  virtual void on_call_cancelled(Token token) = 0;
  virtual void on_message(Token token) = 0;
  virtual void on_disconnected() = 0;
  virtual void on_reconnected() = 0;
  // dispatch() has called back: answers may be waiting.
  virtual void on_dispatched() = 0;
};

// A document's connection to memiod, served by the default main context. When memiod is gone the regions opened through
// it go on ringing; with a new socket (Client::renew) it claims them again.
class Link : public std::enable_shared_from_this<Link> {
 public:
  // Error: system.
  static Result<std::shared_ptr<Link>> make(UniqueFd socket, std::weak_ptr<LinkListener> listener);

  explicit Link(Client client, std::weak_ptr<LinkListener> listener);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] Client& client() noexcept { return client_; }

 private:
  void on_readable();

  Client client_;
  std::weak_ptr<LinkListener> listener_;
  FdSource source_;  // after client_, whose descriptor it borrows
};

}  // namespace memio::webext

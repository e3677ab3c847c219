// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "broker_limits.h"
#include "event_loop.h"
#include "grants.h"
#include "memio/channel.h"
#include "memio/message.h"
#include "region.h"
#include "watch.h"

namespace memio::broker {

// One connection: what it may do, what it has open, and its socket. All that it holds is given back by its destructor.
class Session {
 public:
  struct Hooks {
    std::function<void(Session&, const Call&, std::vector<UniqueFd>)> on_call;
    // A handle was closed, and it was the region's last.
    std::function<void(const std::shared_ptr<Region>&)> on_unused;
    // The connection is over. Called from the loop, never from within another call on the session; destroys it.
    std::function<void(Session&)> on_end;
  };

  // An open handle. Its cell goes back with it.
  class Handle {
   public:
    Handle(const Session& session, std::shared_ptr<Region> region, Access access, std::uint32_t cell)
        : session_(session), region_(std::move(region)), access_(access), cell_(cell) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
      region_->give_back_cell(cell_);
      if (region_->handles() == 0) session_.hooks_.on_unused(region_);
    }
    [[nodiscard]] Region& region() const noexcept { return *region_; }
    [[nodiscard]] Access access() const noexcept { return access_; }
    [[nodiscard]] std::uint32_t cell() const noexcept { return cell_; }

   private:
    const Session& session_;
    std::shared_ptr<Region> region_;
    Access access_;
    std::uint32_t cell_;
  };

  // `pid` is the peer's, if it is known.
  static Result<std::unique_ptr<Session>> make(EventLoop& loop, UniqueFd socket, Grants grants,
                                               std::optional<pid_t> pid, const Limits& limits, Hooks hooks);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const Grants& grants() const noexcept { return grants_; }
  [[nodiscard]] std::optional<pid_t> pid() const noexcept { return pid_; }
  [[nodiscard]] const auto& handles() const noexcept { return handles_; }

  // Opens a handle and returns its id. Error: limit_exceeded.
  Result<std::uint64_t> add_handle(const std::shared_ptr<Region>& region, Access access);
  // Opens a handle on a cell that it had before memiod was gone. Errors: limit_exceeded, not_the_region.
  Result<std::uint64_t> claim_handle(const std::shared_ptr<Region>& region, Access access, std::uint32_t cell);
  // False if there is no such handle.
  bool close_handle(std::uint64_t id) { return handles_.erase(id) > 0; }

  // Regions that go away with this session.
  [[nodiscard]] auto& created() noexcept { return created_; }
  [[nodiscard]] auto& watches() noexcept { return watches_; }

  void send(const Reply& reply, std::vector<UniqueFd> fds = {});
  // Its socket, for whoever speaks on it from now on in the session's place.
  [[nodiscard]] int fd() const noexcept { return channel_.fd(); }
  // Whether little enough is waiting to be read that a watch may add to it.
  [[nodiscard]] bool takes_events() const noexcept;

 private:
  [[nodiscard]] Result<void> check_room_for_handle() const;
  Session(UniqueFd socket, Grants grants, std::optional<pid_t> pid, const Limits& limits, Hooks hooks);
  void on_io();
  Result<void> read_calls();
  void flush();
  // Ends the session at the loop's next turn.
  void fail_later(const Error& reason);

  const Limits& limits_;
  Hooks hooks_;
  Grants grants_;
  std::optional<pid_t> pid_;
  std::map<std::uint64_t, Handle> handles_;
  std::uint64_t last_handle_ = 0;
  std::vector<std::weak_ptr<Region>> created_;
  std::list<Watch> watches_;
  bool failed_ = false;
  Channel channel_;
  EventSource source_;  // last: gone before the socket
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "account.h"
#include "broker_limits.h"
#include "grants.h"
#include "log.h"
#include "mailbox.h"
#include "memio/channel.h"
#include "memio/message.h"
#include "peer.h"
#include "region.h"
#include "turns.h"
#include "watch.h"

namespace memio::broker {

// One connection: what it may do, what it has open, and its socket. All that it holds is given back by its destructor.
//
// It works when it has its turn, a bounded piece at a time: some calls, some events. It reads no further calls from a
// peer that does not read the answers, that sends more messages than its quota says, that has been sent more
// descriptors than it has received, or that waits for the answer of a command.
class Session {
 public:
  struct Hooks {
    std::function<void(Session&, const Call&, Frame)> on_call;
    // Descriptors are at their limit: every session is to release those that were received (release_received_fds).
    std::function<void()> on_fds_short;
    // It is not read from for now: look_at_unread() is to be called after a while.
    std::function<void()> on_unread;
    // A handle was closed, and it was the region's last.
    std::function<void(const std::shared_ptr<Region>&)> on_unused;
    // A call was for this session, and cannot be delivered to it.
    std::function<void(std::uint64_t call, Error)> on_undeliverable;
    // The connection is over. Called from its turn, never from within another call on the session; destroys it.
    std::function<void(Session&)> on_end;
  };

  // Who is at the other end, and what that costs whom.
  struct Identity {
    Grants grants;
    std::shared_ptr<Account> account;  // what it takes is charged to
    Charge place;                      // the connection itself
    std::optional<Peer> peer;          // nothing for a scoped connection: whoever got that is not known
  };

  // An open handle. Its cell goes back with it.
  class Handle {
   public:
    Handle(const Session& session, std::shared_ptr<Region> region, Access access, std::uint32_t cell, Charge charge)
        : session_(session), region_(std::move(region)), access_(access), cell_(cell), charge_(std::move(charge)) {}
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
    Charge charge_;
  };

  // What has become of its messages.
  struct Counts {
    std::uint64_t messages = 0;
    std::uint64_t errors = 0;  // calls that were answered with an error
    std::uint64_t pauses = 0;  // how often it had to wait because of a quota
    std::uint64_t events = 0;  // that its watches told
    std::uint64_t deliveries = 0;
    std::uint64_t lost = 0;  // messages that were dropped because too many waited

    Counts& operator+=(const Counts& other) noexcept {
      messages += other.messages;
      errors += other.errors;
      pauses += other.pauses;
      events += other.events;
      deliveries += other.deliveries;
      lost += other.lost;
      return *this;
    }
  };

  static Result<std::unique_ptr<Session>> make(Turns& turns, UniqueFd socket, std::uint64_t id, Identity identity,
                                               const Limits& limits, Hooks hooks);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const Grants& grants() const noexcept { return identity_.grants; }
  [[nodiscard]] Account& account() const noexcept { return *identity_.account; }
  [[nodiscard]] bool scoped() const noexcept { return !identity_.peer; }
  // The peer's process, if it is known and lives.
  [[nodiscard]] std::optional<pid_t> pid() const noexcept { return pid_; }
  [[nodiscard]] const auto& handles() const noexcept { return handles_; }
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_.amount(); }
  [[nodiscard]] std::size_t unsent_bytes() const noexcept { return channel_.queued_bytes(); }
  [[nodiscard]] std::size_t unreceived_fds() const noexcept { return fds_.amount(); }
  [[nodiscard]] Counts counts() const noexcept;

  // A handle that was opened, and the descriptors for whoever is at the other end.
  struct Opened {
    protocol::Handle handle;  // its descriptors' places begin with the one that was asked for
    std::vector<UniqueFd> fds;
  };
  // Opens a handle. Errors: limit_exceeded, out_of_resources.
  Result<Opened> open_handle(const std::shared_ptr<Region>& region, Access access, std::uint64_t first_place = 0);
  // Opens a handle on a cell that it had before memiod was gone, or the connection. Errors: limit_exceeded,
  // not_the_region.
  Result<std::uint64_t> claim_handle(const std::shared_ptr<Region>& region, Access access, std::uint32_t cell);
  // False if there is no such handle.
  bool close_handle(std::uint64_t id) { return handles_.erase(id) > 0; }

  // Regions that go away with this session.
  [[nodiscard]] const auto& created() const noexcept { return created_; }
  void add_created(const std::shared_ptr<Region>& region);
  [[nodiscard]] auto& watches() noexcept { return watches_; }

  // Where what commands and messages bring to it waits. Made when first asked for.
  [[nodiscard]] Mailbox& mailbox();
  [[nodiscard]] Mailbox* mailbox_if_any() const noexcept { return mailbox_.get(); }
  // Whether its mailbox is told as deliveries; if not, as the reply to the call that waits for it.
  [[nodiscard]] bool receives() const noexcept { return receives_; }
  void start_receiving();
  // Handles no further call before there is an answer to this one.
  void await_answer() noexcept { awaits_ = true; }
  // The turn's work was as much as so many calls more.
  void spend(std::size_t calls) noexcept { spent_ += calls; }

  // Whether so many descriptors may be sent now. Error: limit_exceeded.
  Result<void> check_room_for_fds(std::size_t count);
  // Looks whether the peer has received the descriptors that it was sent, which then are not charged any more.
  void release_received_fds() noexcept;
  // Queues a reply; it is sent at the end of the session's turn.
  void send(WrittenReply reply, std::vector<UniqueFd> fds = {});
  void send(const Reply& reply);
  // The answer to a call: as the reply, or, where the session receives, as a delivery under `id`.
  void refuse(Error error, std::optional<std::uint64_t> id);
  // Asks for a turn, because a watch has something to tell.
  void wake() { seat_.again(); }
  // Ends it if it is not read from and a socket waits in what it was sent. That may be its own peer's end, which then
  // nobody else has: such a connection would never end. False if it need not be called again.
  bool look_at_unread();
  // Its socket, for whoever speaks on it from now on in the session's place.
  [[nodiscard]] int fd() const noexcept { return channel_.fd(); }
  // Whether little enough is waiting to be read that a watch may add to it.
  [[nodiscard]] bool takes_events() const noexcept;

 private:
  Session(UniqueFd socket, std::uint64_t id, Identity identity, const Limits& limits, Hooks hooks);
  Result<void> watch_process(Turns& turns);
  void take_turn(std::uint32_t events);
  void work(std::uint32_t events);
  // Whether no call may be handled now; sees to it that there is another turn when one may.
  bool has_to_wait();
  Result<void> read_calls(std::uint32_t events);
  void answer(Frame frame);
  void tell_events();
  Result<bool> deliver(Delivery& delivery);
  void note_error(const Error& error);
  void queue(std::string text, std::vector<UniqueFd> fds);
  [[nodiscard]] EventFields event_fields() const;
  void flush();
  void plan_next_turn();
  // Of what its calls have brought it and it has not read.
  [[nodiscard]] std::size_t unread_bytes() const noexcept;
  // Whether no calls are read because the peer has to receive something first.
  [[nodiscard]] bool is_unread() const noexcept;
  // Ends the session when its turn is over, so that nobody who works with it loses it.
  void fail_later(const Error& reason);

  const Limits& limits_;
  Hooks hooks_;
  std::uint64_t id_;
  Identity identity_;
  Charge queued_;  // of what the channel has queued
  Charge fds_;     // of those sent since the peer had last received all
  std::map<std::uint64_t, Handle> handles_;
  std::uint64_t last_handle_ = 0;
  std::vector<std::weak_ptr<Region>> created_;
  std::list<Watch> watches_;
  std::unique_ptr<Mailbox> mailbox_;
  bool receives_ = false;
  bool awaits_ = false;
  std::size_t spent_ = 0;  // of the turn, besides the calls themselves
  Counts counts_;
  bool told_of_quota_ = false;
  bool failed_ = false;
  bool at_end_ = false;  // the peer has sent all that it will
  int looked_at_ = 0;    // how many bytes waited to be read when they were last looked at
  Channel channel_;
  std::optional<pid_t> pid_;
  // Last: gone before the descriptors.
  Turns::Seat seat_;
  Turns::Seat process_seat_;  // its turn is the end of the peer's process
};

}  // namespace memio::broker

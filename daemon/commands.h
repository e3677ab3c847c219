// SPDX-License-Identifier: MIT
#pragma once

// Who handles which command, and the calls that are under way.
//
// A call is between two mailboxes: memiod gives it a number, puts it into the handler's, and the answer, or what came
// in between, into the caller's. However it ends, it ends once: it is taken out of here first, and what comes for it
// afterwards finds nothing. A call whose handler has not been told of it when it is over is taken out of the handler's
// mailbox instead of being cancelled.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mailbox.h"

namespace memio::broker {

// Of a command that nobody handles, or that may not be invoked: nobody can tell which.
[[nodiscard]] Error no_such_command(const std::string& name);

class Commands {
 public:
  using Clock = std::chrono::steady_clock;
  // Asks for expire() to be called at that time; the latest wish counts.
  using WakeAt = std::function<void(Clock::time_point)>;

  explicit Commands(WakeAt wake_at) : wake_at_(std::move(wake_at)) {}
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // Errors: command_exists, limit_exceeded.
  Result<void> handle(const std::string& name, Mailbox& by);
  // Error: no_such_command if it does not handle it.
  Result<void> unhandle(const std::string& name, Mailbox& by);

  struct Invocation {
    std::string name;
    std::optional<JsonText> arguments{};
    Attachments attachments{};
    std::optional<std::chrono::milliseconds> timeout{};
    bool wants_answer = true;
    std::optional<std::uint64_t> id{};  // the caller's name for it
  };
  // Delivers a call. Errors: no_such_command, limit_exceeded; then there is no call.
  Result<void> invoke(Mailbox& caller, Invocation invocation, Clock::time_point now);
  // The caller gives up a call. Does nothing if it is over.
  void cancel(Mailbox& caller, std::uint64_t id);
  // What a handler says to a call of this number: a result, or an error. Does nothing if that is over or another's.
  struct Outcome {
    std::optional<JsonText> result{};
    std::optional<Error> error{};
    Attachments attachments{};
  };
  void answer(Mailbox& handler, std::uint64_t call, Outcome outcome);
  // A call that could not be delivered.
  void fail_call(std::uint64_t call, Error reason);
  // Ends the calls whose time is up.
  void expire(Clock::time_point now);
  // A mailbox goes: what it handles, its calls, and those that it was to answer end.
  void forget(Mailbox& mailbox);

  // What there is now, in all or of one mailbox, and how many calls there have been.
  struct Counts {
    std::uint64_t commands = 0;
    std::uint64_t calls = 0;  // under way, by who made them
  };
  [[nodiscard]] Counts counts() const noexcept { return {handlers_.size(), calls_.size()}; }
  [[nodiscard]] Counts counts(const Mailbox& mailbox) const noexcept;
  [[nodiscard]] std::uint64_t calls_so_far() const noexcept { return last_call_; }

 private:
  struct Handler {
    Mailbox* mailbox;
    Charge charge;
  };
  using Deadlines = std::multimap<Clock::time_point, std::uint64_t>;
  struct Call {
    std::string name;
    Mailbox* caller;
    Mailbox* handler;
    bool wants_answer;
    std::optional<std::uint64_t> id;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<Deadlines::iterator> deadline;
    Charge place;
  };
  // What a mailbox has to do with all this.
  struct Party {
    std::set<std::string> commands;
    std::set<std::uint64_t> made;                  // calls
    std::map<std::uint64_t, std::uint64_t> by_id;  // those of them that have an id
    std::set<std::uint64_t> to_answer;
    [[nodiscard]] bool empty() const noexcept { return commands.empty() && made.empty() && to_answer.empty(); }
  };

  // Takes a call out. It must be there.
  Call take(std::uint64_t number);
  void drop_if_empty(Mailbox& mailbox);
  // Ends a call for its handler, who has not answered it.
  void cancel_for_handler(std::uint64_t number, const Call& call);
  // Tells the caller how a call has ended.
  static void tell_caller(Call&& call, Outcome outcome);
  void set_timer();

  WakeAt wake_at_;
  std::map<std::string, Handler, std::less<>> handlers_;
  std::unordered_map<std::uint64_t, Call> calls_;  // by number
  std::unordered_map<const Mailbox*, Party> parties_;
  Deadlines deadlines_;
  std::optional<Clock::time_point> wakes_at_;
  std::uint64_t last_call_ = 0;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "commands.h"

#include <algorithm>

namespace memio::broker {

namespace {

// Beyond that it makes no difference, and the clock's numbers end somewhere.
constexpr std::chrono::milliseconds longest_timeout = std::chrono::hours(24 * 365);

// At once; the others' time comes in the loop's next turn.
constexpr int most_expired = 256;

std::size_t size_of(const std::optional<JsonText>& value) { return value ? value->text.size() : 0; }
std::size_t size_of(const Commands::Outcome& outcome) {
  if (!outcome.error) return size_of(outcome.result);
  const auto& rejection = outcome.error->rejection;
  return outcome.error->message.size() + (rejection ? rejection->error.size() + rejection->details.size() : 0);
}

}  // namespace

Error no_such_command(const std::string& name) {
  return {Errc::no_such_command, 0, "nobody handles the command " + name + ", or this connection may not invoke it"};
}

Result<void> Commands::handle(const std::string& name, Mailbox& by) {
  if (const auto found = handlers_.find(name); found != handlers_.end())
    return fail(Errc::command_exists, "the command " + name + " is handled by " +
                                          (found->second.mailbox == &by ? "this connection already"
                                                                        : "another connection; use another name"));
  auto charge = by.account().charge(Resource::commands);
  if (!charge) return fail(std::move(charge.error()));
  handlers_.emplace(name, Handler{&by, std::move(*charge)});
  parties_[&by].commands.insert(name);
  return {};
}

Result<void> Commands::unhandle(const std::string& name, Mailbox& by) {
  const auto found = handlers_.find(name);
  if (found == handlers_.end() || found->second.mailbox != &by)
    return fail(Errc::no_such_command, "this connection does not handle the command " + name);
  handlers_.erase(found);
  parties_[&by].commands.erase(name);
  drop_if_empty(by);
  return {};
}

Result<void> Commands::invoke(Mailbox& caller, Invocation invocation, Clock::time_point now) {
  const auto found = handlers_.find(invocation.name);
  if (found == handlers_.end()) return fail(no_such_command(invocation.name));
  auto place = caller.account().charge(Resource::calls);
  if (!place) return fail(std::move(place.error()));
  auto bytes = caller.account().charge(Resource::mail_bytes, size_of(invocation.arguments));
  if (!bytes) return fail(std::move(bytes.error()));
  Mailbox& handler = *found->second.mailbox;
  const auto number = ++last_call_;
  Call call{.name = invocation.name,
            .caller = &caller,
            .handler = &handler,
            .wants_answer = invocation.wants_answer,
            .id = invocation.id,
            .timeout = {},
            .deadline = {},
            .place = std::move(*place)};
  if (invocation.timeout) {
    call.timeout = std::min(*invocation.timeout, longest_timeout);
    call.deadline = deadlines_.emplace(now + *call.timeout, number);
  }
  calls_.emplace(number, std::move(call));
  Party& party = parties_[&caller];
  party.made.insert(number);
  if (invocation.id) party.by_id.insert_or_assign(*invocation.id, number);
  parties_[&handler].to_answer.insert(number);
  set_timer();
  handler.post({.kind = DeliveryKind::call,
                .id = number,
                .name = std::move(invocation.name),
                .value = std::move(invocation.arguments),
                .attachments = std::move(invocation.attachments),
                .bytes = std::move(*bytes)});
  return {};
}

Commands::Call Commands::take(std::uint64_t number) {
  const auto found = calls_.find(number);
  Call call = std::move(found->second);
  calls_.erase(found);
  if (call.deadline) deadlines_.erase(*call.deadline);
  Party& caller = parties_[call.caller];
  caller.made.erase(number);
  if (call.id)
    if (const auto by_id = caller.by_id.find(*call.id); by_id != caller.by_id.end() && by_id->second == number)
      caller.by_id.erase(by_id);
  parties_[call.handler].to_answer.erase(number);
  drop_if_empty(*call.caller);
  drop_if_empty(*call.handler);
  return call;
}

void Commands::drop_if_empty(Mailbox& mailbox) {
  const auto found = parties_.find(&mailbox);
  if (found != parties_.end() && found->second.empty()) parties_.erase(found);
}

void Commands::cancel_for_handler(std::uint64_t number, const Call& call) {
  if (!call.handler->withdraw(number)) call.handler->post({.kind = DeliveryKind::cancel, .id = number});
}

void Commands::tell_caller(Call&& call, Outcome outcome) {
  if (!call.wants_answer) return;
  Delivery delivery{.kind = DeliveryKind::answer, .id = call.id};
  auto bytes = call.caller->account().charge(Resource::mail_bytes, size_of(outcome));
  if (bytes) {
    delivery.value = std::move(outcome.result);
    delivery.error = std::move(outcome.error);
    delivery.attachments = std::move(outcome.attachments);
    delivery.bytes = std::move(*bytes);
  } else {
    delivery.error = std::move(bytes.error());
  }
  delivery.call = std::move(call.place);
  call.caller->post(std::move(delivery));
}

void Commands::cancel(Mailbox& caller, std::uint64_t id) {
  const auto party = parties_.find(&caller);
  if (party == parties_.end()) return;
  const auto found = party->second.by_id.find(id);
  if (found == party->second.by_id.end()) return;
  const auto number = found->second;
  Call call = take(number);
  cancel_for_handler(number, call);
  Error error{Errc::call_cancelled, 0, "the call of " + call.name + " was cancelled"};
  tell_caller(std::move(call), {.error = std::move(error)});
}

void Commands::answer(Mailbox& handler, std::uint64_t number, Outcome outcome) {
  const auto found = calls_.find(number);
  if (found == calls_.end() || found->second.handler != &handler) return;
  tell_caller(take(number), std::move(outcome));
}

void Commands::fail_call(std::uint64_t number, Error reason) {
  if (calls_.contains(number)) tell_caller(take(number), {.error = std::move(reason)});
}

void Commands::expire(Clock::time_point now) {
  wakes_at_.reset();
  for (int left = most_expired; left > 0 && !deadlines_.empty() && deadlines_.begin()->first <= now; --left) {
    const auto number = deadlines_.begin()->second;
    Call call = take(number);
    cancel_for_handler(number, call);
    Error error{Errc::call_timed_out, 0,
                call.name + " was not answered within " + std::to_string(call.timeout->count()) + " ms"};
    tell_caller(std::move(call), {.error = std::move(error)});
  }
  set_timer();
}

// Calls that are answered in time leave the timer as it is: it then wakes once for nothing.
void Commands::set_timer() {
  if (deadlines_.empty()) return;
  const auto first = deadlines_.begin()->first;
  if (wakes_at_ && *wakes_at_ <= first) return;
  wakes_at_ = first;
  wake_at_(first);
}

void Commands::forget(Mailbox& mailbox) {
  const auto party = parties_.find(&mailbox);
  if (party == parties_.end()) return;
  for (const auto& name : party->second.commands) handlers_.erase(name);
  party->second.commands.clear();
  const auto made = party->second.made;
  const auto to_answer = party->second.to_answer;
  for (const auto number : made) {
    const Call call = take(number);
    if (call.handler != &mailbox) cancel_for_handler(number, call);
  }
  for (const auto number : to_answer) {
    if (made.contains(number)) continue;
    Call call = take(number);
    Error error{Errc::handler_gone, 0, "whoever handles " + call.name + " went away before it had answered"};
    tell_caller(std::move(call), {.error = std::move(error)});
  }
  parties_.erase(&mailbox);
}

Commands::Counts Commands::counts(const Mailbox& mailbox) const noexcept {
  const auto party = parties_.find(&mailbox);
  return party == parties_.end() ? Counts{} : Counts{party->second.commands.size(), party->second.made.size()};
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "session.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "log.h"

namespace memio::broker {

Session::Session(UniqueFd socket, Grants grants, std::optional<pid_t> pid, const Limits& limits, Hooks hooks)
    : limits_(limits),
      hooks_(std::move(hooks)),
      grants_(std::move(grants)),
      pid_(pid),
      channel_(std::move(socket), {.message = limits.message_bytes, .queued = limits.queued_bytes}) {}

Result<std::unique_ptr<Session>> Session::make(EventLoop& loop, UniqueFd socket, Grants grants,
                                               std::optional<pid_t> pid, const Limits& limits, Hooks hooks) {
  std::unique_ptr<Session> session(new Session(std::move(socket), std::move(grants), pid, limits, std::move(hooks)));
  auto source = loop.add_io(session->channel_.fd(), EPOLLIN, [s = session.get()](std::uint32_t) { s->on_io(); });
  if (!source) return fail(std::move(source.error()));
  session->source_ = std::move(*source);
  return session;
}

void Session::on_io() {
  Result<void> result;
  if (!failed_) result = read_calls();
  if (result && !failed_) flush();
  if (!result) fail_later(result.error());
  if (!failed_) return;
  // What was to be said about the failure goes out if the socket takes it. Nothing may be touched after this.
  [[maybe_unused]] const auto flushed = channel_.flush();
  const auto on_end = hooks_.on_end;  // this object, and with it hooks_, does not outlive the call
  on_end(*this);
}

Result<void> Session::read_calls() {
  // One read a turn, so that a busy session does not keep the others waiting.
  auto input = channel_.receive();
  if (!input) {
    if (input.error().code == Errc::message_too_large) send(to_reply(input.error()));
    return fail(std::move(input.error()));
  }
  while (auto frame = channel_.next()) {
    auto call = decode_call(frame->text);
    if (call)
      hooks_.on_call(*this, *call, std::move(frame->fds));
    else
      send(to_reply(call.error()));
    if (failed_) return {};
  }
  if (*input == Channel::Input::end) return fail(Errc::disconnected);
  return {};
}

void Session::send(const Reply& reply, std::vector<UniqueFd> fds) {
  if (failed_) return;
  if (auto queued = channel_.send(encode(reply), std::move(fds)); !queued) return fail_later(queued.error());
  flush();
}

void Session::flush() {
  if (auto flushed = channel_.flush(); !flushed) return fail_later(flushed.error());
  const bool drained = takes_events();
  source_.set_io_events(channel_.wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN);
  if (!drained) return;
  for (auto& watch : watches_) watch.flush();
}

bool Session::takes_events() const noexcept { return !failed_ && channel_.queued_bytes() < limits_.watch_queued_bytes; }

void Session::fail_later(const Error& reason) {
  if (failed_) return;
  failed_ = true;
  if (reason.code != Errc::disconnected)
    log_warning("ending the connection of process {}: {}", pid_ ? std::to_string(*pid_) : "(scoped)", reason.text());
  // The loop comes back to this session at once, because a shut down socket is readable.
  ::shutdown(channel_.fd(), SHUT_RD);
}

Result<void> Session::check_room_for_handle() const {
  if (handles_.size() < limits_.handles_per_session) return {};
  return fail(Errc::limit_exceeded, "this connection has all the " + std::to_string(limits_.handles_per_session) +
                                        " handles that it may have; close some");
}

Result<std::uint64_t> Session::add_handle(const std::shared_ptr<Region>& region, Access access) {
  if (auto room = check_room_for_handle(); !room) return fail(std::move(room.error()));
  auto cell = region->take_cell();
  if (!cell) return fail(std::move(cell.error()));
  handles_.try_emplace(++last_handle_, *this, region, access, *cell);
  return last_handle_;
}

Result<std::uint64_t> Session::claim_handle(const std::shared_ptr<Region>& region, Access access, std::uint32_t cell) {
  if (auto room = check_room_for_handle(); !room) return fail(std::move(room.error()));
  if (auto claimed = region->claim_cell(cell); !claimed) return fail(std::move(claimed.error()));
  handles_.try_emplace(++last_handle_, *this, region, access, cell);
  return last_handle_;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "session.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "log.h"
#include "memio/protocol_json.h"

namespace memio::broker {

namespace {

// Of one turn: that many calls, or so many bytes of answers, whatever comes first; and that many events.
constexpr std::size_t most_calls = 16;
constexpr std::size_t most_answered = std::size_t{64} << 10;
constexpr int most_events = 64;

// What an event that waits to be told counts as, in bytes: about what it takes up.
constexpr std::size_t event_cost = 128;

// How long a session sleeps that has descriptors to receive: nothing tells when it has done so.
constexpr std::chrono::milliseconds receipt_interval{10};

// Nor does anything tell when the system has memory to send with again.
constexpr std::chrono::milliseconds retry_interval{10};

constexpr std::uint32_t hung_up = EPOLLHUP | EPOLLERR;

}  // namespace

Session::Session(UniqueFd socket, std::uint64_t id, Identity identity, const Limits& limits, Hooks hooks)
    : limits_(limits),
      hooks_(std::move(hooks)),
      id_(id),
      identity_(std::move(identity)),
      channel_(std::move(socket),
               {.message = limits.message_bytes, .queued = identity_.account->quota().queued_bytes, .sockets = false}) {
}

Result<std::unique_ptr<Session>> Session::make(Turns& turns, UniqueFd socket, std::uint64_t id, Identity identity,
                                               const Limits& limits, Hooks hooks) {
  std::unique_ptr<Session> session(new Session(std::move(socket), id, std::move(identity), limits, std::move(hooks)));
  auto queued = session->account().charge(Resource::queued_bytes, 0);
  auto fds = session->account().charge(Resource::fds, 0);
  if (!queued || !fds) return fail(std::move((queued ? fds : queued).error()));
  session->queued_ = std::move(*queued);
  session->fds_ = std::move(*fds);
  auto seat = turns.join(session->channel_.fd(), [s = session.get()](std::uint32_t events) { s->take_turn(events); });
  if (!seat) return fail(std::move(seat.error()));
  session->seat_ = std::move(*seat);
  if (auto watched = session->watch_process(turns); !watched) return fail(std::move(watched.error()));
  return session;
}

// So that nobody has to ask, at each call that tells of the process, whether it still is the same one.
Result<void> Session::watch_process(Turns& turns) {
  if (!identity_.peer) return {};
  pid_ = identity_.peer->pid();
  if (!pid_) return {};
  auto seat = turns.join(identity_.peer->process_fd(), [this](std::uint32_t) {
    pid_.reset();
    process_seat_ = {};
  });
  if (!seat) return fail(std::move(seat.error()));
  process_seat_ = std::move(*seat);
  return {};
}

void Session::take_turn(std::uint32_t events) {
  if (!failed_) work(events);
  if (!failed_) return;
  // What was to be said about the failure goes out if the socket takes it. Nothing may be touched after this.
  [[maybe_unused]] const auto flushed = channel_.flush();
  const auto on_end = hooks_.on_end;  // this object, and with it hooks_, does not outlive the call
  on_end(*this);
}

void Session::work(std::uint32_t events) {
  flush();
  // Whoever has hung up while a command was to answer it does not wait for that, nor for what it sent after it.
  if ((events & hung_up) != 0 && awaits_) return fail_later(Error{Errc::disconnected});
  // Who has hung up waits for nothing: what it sent before is handled, and nobody reads the answers.
  if ((events & hung_up) != 0 || !has_to_wait()) {
    if (auto result = read_calls(events); !result) fail_later(result.error());
  }
  if (!failed_) flush();
  if (!failed_) tell_events();
  if (!failed_) plan_next_turn();
}

bool Session::has_to_wait() {
  if (awaits_) return true;                                 // until its mailbox has the answer
  if (unread_bytes() >= limits_.unread_bytes) return true;  // until the socket takes more
  release_received_fds();
  auto wait = account().wait_for_message(Account::Clock::now());
  if (fds_.amount() >= account().quota().fds) wait = std::max<Account::Clock::duration>(wait, receipt_interval);
  if (wait <= Account::Clock::duration::zero()) return false;
  ++counts_.pauses;
  seat_.sleep(wait);
  return true;
}

Result<void> Session::read_calls(std::uint32_t events) {
  if (!channel_.has_next() && (events & (EPOLLIN | hung_up)) != 0) {
    auto input = channel_.receive();
    if (!input) {
      if (input.error().code == Errc::message_too_large) refuse(input.error(), std::nullopt);
      return fail(std::move(input.error()));
    }
    at_end_ = *input == Channel::Input::end;
  }
  const auto before = unread_bytes();
  spent_ = 0;
  for (std::size_t i = 0; i + spent_ < most_calls && unread_bytes() < before + most_answered && !awaits_; ++i) {
    const auto now = Account::Clock::now();
    if (i > 0 && account().wait_for_message(now) > Account::Clock::duration::zero()) break;
    auto frame = channel_.next();
    if (!frame) break;
    account().count_message(now);
    answer(std::move(*frame));
    if (failed_) return {};
  }
  if (at_end_ && !channel_.has_next()) return fail(Errc::disconnected);
  return {};
}

void Session::answer(Frame frame) {
  ++counts_.messages;
  auto call = decode_call(frame.text);
  if (call)
    hooks_.on_call(*this, *call, std::move(frame));
  else
    refuse(std::move(call.error()), std::nullopt);
}

Result<void> Session::check_room_for_fds(std::size_t count) {
  auto room = account().charge(Resource::fds, count);
  if (!room) {
    hooks_.on_fds_short();
    room = account().charge(Resource::fds, count);
  }
  if (!room) return fail(std::move(room.error()));
  return {};
}

void Session::send(const Reply& reply) {
  if (!failed_) queue(encode(reply), {});
}

void Session::send(WrittenReply reply, std::vector<UniqueFd> fds) {
  if (!failed_) queue(encode(std::move(reply)), std::move(fds));
}

void Session::refuse(Error error, std::optional<std::uint64_t> id) {
  note_error(error);
  if (!receives_ || !id) return send(memio::to_reply(error));
  mailbox().post({.kind = DeliveryKind::answer, .id = id, .error = std::move(error)});
}

void Session::queue(std::string text, std::vector<UniqueFd> fds) {
  if (auto charged = fds_.resize(fds_.amount() + fds.size()); !charged) return fail_later(charged.error());
  if (auto queued = channel_.send(std::move(text), std::move(fds)); !queued) return fail_later(queued.error());
}

EventFields Session::event_fields() const { return {.uid = account().uid(), .pid = pid(), .session = id_}; }

void Session::note_error(const Error& error) {
  ++counts_.errors;
  // Once, so that a program that keeps trying does not fill the log.
  if (error.code != Errc::limit_exceeded || told_of_quota_) return;
  told_of_quota_ = true;
  log_event(Event::quota_passed, event_fields(), "refused a request: " + error.message);
}

void Session::flush() {
  if (auto flushed = channel_.flush(); !flushed) return fail_later(flushed.error());
  std::size_t unread = unread_bytes();
  for (const auto& watch : watches_) unread += watch.pending() * event_cost;
  if (auto charged = queued_.resize(unread); !charged) fail_later(charged.error());
}

// The socket counts the bytes that the peer has not received. Once there are none, it has the descriptors too.
void Session::release_received_fds() noexcept {
  if (fds_.amount() == 0 || channel_.wants_write()) return;
  int unread = 0;
  if (::ioctl(channel_.fd(), SIOCOUTQ, &unread) == 0 && unread == 0) [[maybe_unused]]
    const auto released = fds_.resize(0);
}

void Session::tell_events() {
  if (watches_.empty() && !mailbox_) return;
  int left = most_events;
  for (auto& watch : watches_) left -= watch.flush(left);
  counts_.events += static_cast<std::uint64_t>(most_events - left);
  if (mailbox_ && mailbox_->pending() > 0) counts_.deliveries += static_cast<std::uint64_t>(mailbox_->flush(left));
  flush();
}

Session::Counts Session::counts() const noexcept {
  Counts counts = counts_;
  if (mailbox_) counts.lost = mailbox_->lost();
  return counts;
}

Mailbox& Session::mailbox() {
  if (!mailbox_)
    mailbox_ = std::make_unique<Mailbox>(
        Mailbox::Owner{.can_send = [this] { return takes_events(); },
                       .wake = [this] { wake(); },
                       .send = [this](Delivery& delivery) { return deliver(delivery); },
                       .send_text =
                           [this](std::string_view text) {
                             if (!failed_) queue(std::string(text), {});
                           },
                       .may_listen = [this](std::string_view topic) { return grants().allows(topic, Right::listen); },
                       .on_undeliverable = [this](std::uint64_t call,
                                                  Error reason) { hooks_.on_undeliverable(call, std::move(reason)); }},
        account());
  return *mailbox_;
}

void Session::start_receiving() {
  receives_ = true;
  mailbox().post({.kind = DeliveryKind::ready});
}

// A session that does not receive has one answer at most in its mailbox: that for which it waits.
Result<bool> Session::deliver(Delivery& delivery) {
  if (auto room = check_room_for_fds(delivery.attachments.fd_count()); !room) {
    if (fds_.amount() > 0) return false;
    return fail(std::move(room.error()));
  }
  std::vector<protocol::Attachment> attached;
  std::vector<UniqueFd> fds;
  for (auto& item : delivery.attachments.items) {
    auto& to = attached.emplace_back();
    if (!item.region) {
      to.file_descriptor = fds.size();
      fds.push_back(std::move(item.fd));
      continue;
    }
    auto opened = open_handle(item.region, item.access, fds.size());
    if (!opened) {
      for (const auto& one : attached)
        if (one.handle) close_handle(one.handle->id);
      return fail(std::move(opened.error()));
    }
    to.region = item.region->info();
    to.handle = opened->handle;
    std::ranges::move(opened->fds, std::back_inserter(fds));
  }
  if (receives_) {
    auto reply = to_reply(std::move(delivery));
    if (!attached.empty()) reply.attachments = std::move(attached);
    send(WrittenReply{.parameters = protocol::to_text(reply), .continues = true}, std::move(fds));
    return true;
  }
  awaits_ = false;
  if (delivery.error) {
    note_error(*delivery.error);
    send(memio::to_reply(*delivery.error));
  } else {
    send(WrittenReply{.parameters = protocol::to_text(protocol::InvokeReply{.result = std::move(delivery.value),
                                                                            .attachments = std::move(attached)})},
         std::move(fds));
  }
  return true;
}

void Session::plan_next_turn() {
  if (channel_.starved()) return seat_.sleep(retry_interval);
  if (mailbox_ && mailbox_->short_of_fds()) return seat_.sleep(receipt_interval);
  bool more = !awaits_ && channel_.has_next() && unread_bytes() < limits_.unread_bytes;
  for (const auto& watch : watches_) more = more || (watch.pending() > 0 && takes_events());
  more = more || (mailbox_ && mailbox_->pending() > 0 && takes_events());
  if (more) seat_.again();
  if (is_unread()) hooks_.on_unread();
  // Whoever has calls left is not read from, and whoever does not read, or waits for a command, is not, either.
  const bool reads = !awaits_ && !channel_.has_next() && unread_bytes() < limits_.unread_bytes;
  seat_.want((reads ? EPOLLIN : 0U) | (channel_.wants_write() ? EPOLLOUT : 0U));
}

// The mailbox gives the channel only a little at a time.
std::size_t Session::unread_bytes() const noexcept {
  return channel_.queued_bytes() + (mailbox_ ? mailbox_->uncharged_bytes() : 0);
}

bool Session::is_unread() const noexcept {
  return unread_bytes() >= limits_.unread_bytes || fds_.amount() >= account().quota().fds;
}

bool Session::look_at_unread() {
  if (failed_ || !is_unread()) return false;
  int waiting = 0;
  if (::ioctl(channel_.fd(), SIOCINQ, &waiting) != 0 || waiting == looked_at_) return true;
  const auto socket_waits = channel_.socket_waits();
  if (socket_waits) looked_at_ = waiting;
  if (!socket_waits.value_or(false)) return true;
  fail_later({Errc::protocol_violation, 0, "it sent a socket, and does not receive what it is sent"});
  seat_.again();
  return false;
}

bool Session::takes_events() const noexcept { return !failed_ && channel_.queued_bytes() < limits_.watch_queued_bytes; }

void Session::fail_later(const Error& reason) {
  if (failed_) return;
  failed_ = true;
  if (reason.code != Errc::disconnected) {
    const auto process = pid();
    log_event(Event::connection_ended, event_fields(),
              "ending the connection of " + (process ? "process " + std::to_string(*process) : "an unknown process") +
                  ": " + reason.text());
  }
}

void Session::add_created(const std::shared_ptr<Region>& region) {
  // Those that are gone are forgotten before the list grows, so it is never long because of them.
  if (created_.size() == created_.capacity())
    std::erase_if(created_, [](const auto& other) { return other.expired(); });
  created_.push_back(region);
}

Result<Session::Opened> Session::open_handle(const std::shared_ptr<Region>& region, Access access,
                                             std::uint64_t first_place) {
  auto fds = region->fds_for(access);
  if (!fds) return fail(std::move(fds.error()));
  auto charge = account().charge(Resource::handles);
  if (!charge) return fail(std::move(charge.error()));
  auto cell = region->take_cell();
  if (!cell) return fail(std::move(cell.error()));
  Region::tie_cell(*cell, *fds);
  handles_.try_emplace(++last_handle_, *this, region, access, *cell, std::move(*charge));
  Opened opened{.handle = {.id = last_handle_,
                           .access = access,
                           .cell = *cell,
                           .cells = region->cells(),
                           .region_file_descriptor = first_place,
                           .leases_file_descriptor = first_place + 1,
                           .doorbell_file_descriptor = first_place + 2},
                .fds = {}};
  opened.fds.push_back(std::move(fds->region));
  opened.fds.push_back(std::move(fds->leases));
  opened.fds.push_back(std::move(fds->doorbell));
  return opened;
}

Result<std::uint64_t> Session::claim_handle(const std::shared_ptr<Region>& region, Access access, std::uint32_t cell) {
  auto charge = account().charge(Resource::handles);
  if (!charge) return fail(std::move(charge.error()));
  if (auto claimed = region->claim_cell(cell); !claimed) return fail(std::move(claimed.error()));
  handles_.try_emplace(++last_handle_, *this, region, access, cell, std::move(*charge));
  return last_handle_;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#include "client_core.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "connect.h"
#include "mail.h"
#include "watcher.h"

namespace memio::detail {

namespace {

constexpr std::size_t events_at_once = 64;

}  // namespace

tl::unexpected<Error> no_room_for_fds() {
  return fail(Errc::out_of_resources,
              "this process has no room for the descriptors that memiod sent; close some, or raise its limit "
              "(RLIMIT_NOFILE)");
}

Result<std::shared_ptr<ClientCore>> ClientCore::make(UniqueFd socket, std::string path) {
  auto core = std::make_shared<ClientCore>();
  core->path_ = std::move(path);
  if (auto made = make_blocking(socket.get()); !made) return fail(std::move(made.error()));
  core->channel_.emplace(std::move(socket), client_limits);
  core->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!core->epoll_.valid()) return fail_errno(errno, "creating an epoll");
  core->again_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!core->again_.valid()) return fail_errno(errno, "creating an eventfd");
  core->retry_timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!core->retry_timer_.valid()) return fail_errno(errno, "creating a timer");
  auto added = core->poll_add(core->channel_->fd(), EPOLLIN, key(Kind::socket, 0));
  if (added) added = core->poll_add(core->again_.get(), EPOLLIN, key(Kind::again, 0));
  if (added) added = core->poll_add(core->retry_timer_.get(), EPOLLIN, key(Kind::retry, 0));
  if (!added) return fail(std::move(added.error()));
  core->ready_.reserve(events_at_once);
  return core;
}

ClientCore::~ClientCore() = default;

std::uint64_t ClientCore::key(Kind kind, std::size_t index) noexcept {
  return static_cast<std::uint64_t>(kind) << 32 | static_cast<std::uint32_t>(index);
}

Result<void> ClientCore::poll_add(int fd, std::uint32_t events, std::uint64_t data) noexcept {
  epoll_event event{events, {.u64 = data}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail_errno(errno, "adding a descriptor to the epoll");
}

// --- calls and answers ---

void ClientCore::send(const std::string& call, Pending pending, std::vector<UniqueFd> fds) {
  pending_.push_back(std::move(pending));
  if (!connected_)
    disconnect(disconnect_reason_);
  else if (auto sent = channel_->send(call, std::move(fds)); !sent)
    disconnect(std::move(sent.error()));
  else
    flush();
}

void ClientCore::look_for_memiod() {
  pump();  // to notice that memiod has gone before a call is lost with it
  if (!connected_ && can_reconnect()) retry();
}

Result<ClientCore::Answer> ClientCore::call(std::string_view method, JsonText parameters) {
  const auto text = encode(WrittenCall{method, std::move(parameters)});
  if (!connected_ && can_reconnect()) retry();
  const bool was_connected = connected_;
  own_answer_.reset();
  send(text, {});
  if (was_connected && !connected_ && channel_->wants_write() && can_reconnect()) {
    // memiod had gone before, and has not had all of the call.
    retry();
    own_answer_.reset();
    send(text, {});
  }
  while (!own_answer_)
    if (auto stepped = step(std::nullopt); !stepped) disconnect(std::move(stepped.error()));
  auto answer = std::move(*own_answer_);
  own_answer_.reset();
  return answer;
}

Result<void> ClientCore::step(const Deadline& deadline, int other) {
  if (connected_ && !asks_again_ && !deadline && other < 0 && !channel_->wants_write()) {
    pump(Wait::yes);
    return {};
  }
  const short socket_events = connected_ && channel_->wants_write() ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 3> wanted{
      pollfd{connected_ ? channel_->fd() : -1, socket_events, 0}, {retry_timer_.get(), POLLIN, 0}, {other, POLLIN, 0}};
  if (::poll(wanted.data(), wanted.size(), milliseconds_left(deadline)) < 0 && errno != EINTR)
    return fail_errno(errno, "waiting for memiod");
  if (wanted[0].revents != 0) pump();
  if (wanted[1].revents != 0) retry();
  return {};
}

void ClientCore::call_async(std::string_view method, JsonText parameters, OnAnswer on_answer) {
  send(encode(WrittenCall{method, std::move(parameters)}), {.on_answer = std::move(on_answer)});
}

void ClientCore::answer(Pending pending, Result<Answer> answer) {
  if (pending.ours) return pending.on_answer(std::move(answer));
  if (!pending.on_answer) {
    own_answer_.emplace(std::move(answer));
    return;
  }
  answered_.emplace_back(std::move(pending.on_answer), std::move(answer));
  call_again();
}

void ClientCore::send_oneway(std::string_view method, JsonText parameters) noexcept {
  if (!connected_) return;
  try {
    if (channel_->send(encode(WrittenCall{.method = method, .parameters = std::move(parameters), .oneway = true})))
      flush();
  } catch (const std::exception&) {
    // Out of memory. What was to end, ends with the connection.
  }
}

void ClientCore::close_handle(std::uint64_t id, Line line) noexcept {
  if (line == Line::own) return send_oneway(protocol::close_method, protocol::to_text(protocol::CloseParameters{id}));
  if (mail_) mail_->tell_if_open(protocol::close_method, protocol::to_text(protocol::CloseParameters{id}));
}

void ClientCore::remove_name(const std::string& name) noexcept {
  send_oneway(protocol::remove_method, protocol::to_text(protocol::RemoveParameters{name}));
}

// Answers are read by whoever waits for them; but memiod takes no more calls from one who lets too many lie.
void ClientCore::flush() noexcept {
  if (!channel_->flush() || channel_->wants_write()) pump();
}

void ClientCore::pump(Wait wait) noexcept {
  if (!connected_) return;
  try {
    if (auto result = pump_once(wait); !result) disconnect(std::move(result.error()));
  } catch (const std::exception& error) {
    disconnect(Error{Errc::disconnected, 0, std::string("gave up the connection: ") + error.what()});
  }
  update_interest();
}

Result<void> ClientCore::pump_once(Wait wait) {
  // What memiod has said is read even if it can no longer be written to.
  auto flushed = channel_->flush();
  for (;;) {
    auto input = wait == Wait::yes ? channel_->wait_and_receive() : channel_->receive();
    wait = Wait::no;
    if (!input) return fail(std::move(input.error()));
    while (auto frame = channel_->next())
      if (auto taken = take_frame(std::move(*frame)); !taken) return taken;
    if (*input == Channel::Input::end) return fail(Errc::disconnected, "memiod closed the connection");
    // What call() does not wait for keeps the socket readable.
    if (*input == Channel::Input::none || own_answer_) return flushed;
  }
}

Result<void> ClientCore::take_frame(Frame frame) {
  auto reply = decode_reply(frame.text);
  if (!reply) return fail(Errc::protocol_violation, "memiod sent what is no reply: " + reply.error().message);
  if (pending_.empty()) {
    // An error for something that was no call of ours, such as a message that grew too long.
    if (!reply->error.empty()) return fail(to_error(*reply));
    return fail(Errc::protocol_violation, "memiod sent a reply to no call");
  }
  Pending pending = std::move(pending_.front());
  pending_.pop_front();
  answer(std::move(pending), reply->error.empty() ? Result<Answer>(Answer{std::move(reply->parameters),
                                                                          std::move(frame.fds), frame.fds_lost})
                                                  : Result<Answer>(fail(to_error(*reply))));
  return {};
}

void ClientCore::update_interest() noexcept {
  const bool wanted = connected_ && channel_->wants_write();
  if (wanted == wants_write_) return;
  wants_write_ = wanted;
  epoll_event event{static_cast<std::uint32_t>(wanted ? EPOLLIN | EPOLLOUT : EPOLLIN), {.u64 = key(Kind::socket, 0)}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, channel_->fd(), &event);
}

void ClientCore::disconnect(Error reason) noexcept {
  if (connected_) {
    connected_ = false;
    wants_write_ = false;
    tell_disconnected_ = true;
    tell_reconnected_ = false;
    disconnect_reason_ = std::move(reason);
    stop_polling(channel_->fd());
    if (can_reconnect()) start_retrying();
  }
  auto unanswered = std::exchange(pending_, {});
  for (auto& pending : unanswered) answer(std::move(pending), fail(disconnect_reason_));
  call_again();
}

void ClientCore::call_again() noexcept { ring(again_.get()); }

void ClientCore::run_answered() {
  // Only those that are there now: a callback may ask something new.
  for (std::size_t n = answered_.size(); n > 0; --n) {
    auto [on_answer, answer] = std::move(answered_.front());
    answered_.pop_front();
    on_answer(std::move(answer));
  }
}

Result<UniqueFd> ClientCore::Answer::take_fd(std::uint64_t place) {
  if (fds_lost) return no_room_for_fds();
  if (place >= fds.size() || !fds[place].valid())
    return fail(Errc::protocol_violation, "memiod answered without the descriptor that it promised");
  return std::move(fds[place]);
}

Result<Region> ClientCore::make_region(Result<Answer> answer, Access wanted, bool creator) {
  if (!answer) return fail(std::move(answer.error()));
  auto reply = protocol::parse_reply<protocol::OpenReply>(answer->parameters);
  const auto bad = [](const std::string& what) {
    return fail(Errc::protocol_violation, "memiod answered with " + what);
  };
  if (!reply) return bad("a wrong field: " + reply.error().message);
  if (reply->handle.access != wanted) return bad("another access mode than was asked for");
  const auto name = reply->region.name;
  if (answer->fds_lost) close_handle(reply->handle.id);
  auto region = answer->fds_lost
                    ? Result<Region>(no_room_for_fds())
                    : make_region(std::move(reply->region), reply->handle, answer->fds, creator, Line::own);
  if (!region && creator) remove_name(name);  // it was made for nothing; if it may be removed by this client
  return region;
}

Result<Region> ClientCore::make_region(protocol::Region info, const protocol::Handle& handle,
                                       std::vector<UniqueFd>& fds, bool creator, Line line) {
  const auto bad = [](const std::string& what) {
    return fail(Errc::protocol_violation, "memiod answered with " + what);
  };
  const auto geometry = Geometry::make(info.layout, info.slots, info.capacity, info.huge_pages);
  if (!geometry || geometry->stride != info.stride) return bad("an impossible region");
  const auto take = [&fds](std::uint64_t index) { return index < fds.size() ? std::move(fds[index]) : UniqueFd(); };
  RegionMemory::Parts parts{take(handle.region_file_descriptor),
                            take(handle.leases_file_descriptor),
                            take(handle.doorbell_file_descriptor),
                            *geometry,
                            handle.access,
                            static_cast<std::uint32_t>(std::min<std::uint64_t>(handle.cell, format::max_cells)),
                            static_cast<std::uint32_t>(std::min<std::uint64_t>(handle.cells, format::max_cells))};
  if (!parts.region.valid() || !parts.leases.valid() || !parts.doorbell.valid()) return bad("too few file descriptors");
  auto memory = RegionMemory::map(std::move(parts));
  if (!memory) {
    close_handle(handle.id, line);
    return fail(std::move(memory.error()));
  }
  auto open = std::make_shared<OpenRegion>(shared_from_this(), std::move(info), handle.id, creator, std::move(*memory));
  open->set_on_mail(line == Line::mail);
  return Region(std::move(open));
}

// --- mail ---

Mail& ClientCore::mail() {
  if (!mail_) mail_ = std::make_unique<Mail>(*this);
  return *mail_;
}

void ClientCore::open_mail() {
  auto opened = [this](Result<Answer> answer) {
    if (!answer) return mail_->opened(fail(std::move(answer.error())));
    const auto reply = protocol::parse_reply<protocol::OpenConnectionReply>(answer->parameters);
    if (!reply) return mail_->opened(fail(Errc::protocol_violation, "memiod answered without a connection"));
    auto socket = answer->take_fd(reply->connection_file_descriptor);
    if (!socket) return mail_->opened(fail(std::move(socket.error())));
    mail_->opened(Mail::Opened{std::move(*socket), reply->message_bytes});
  };
  const protocol::OpenConnectionParameters parameters;
  send(encode(WrittenCall{protocol::open_connection_method, protocol::to_text(parameters)}),
       {.on_answer = std::move(opened), .ours = true});
}

Result<void> ClientCore::poll_mail(int fd, std::uint32_t events) noexcept {
  return poll_add(fd, events, key(Kind::mail, 0));
}

void ClientCore::repoll_mail(int fd, std::uint32_t events) noexcept {
  epoll_event event{events, {.u64 = key(Kind::mail, 0)}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void ClientCore::lose_mail_handles() noexcept {
  if (connected_) begin_asking();
  memiod_stayed_ = connected_;
  for (auto* region : regions_) {
    if (!region->on_mail() || !region->handle()) continue;
    region->set_handle(std::nullopt);
    if (connected_) claim_later(*region);
  }
}

void ClientCore::add_mail_source(MailSource& source) {
  source.source = add_source({.mail = &source, .token = source.token});
  source.registered = true;
}

void ClientCore::remove_mail_source(MailSource& source) noexcept {
  if (std::exchange(source.registered, false)) remove_source(source.source);
}

void ClientCore::make_mail_ready(MailSource& source) noexcept {
  if (!source.registered || sources_[source.source].ready) return;
  make_ready(source.source);
  if (!dispatching_) call_again();
}

std::optional<Event> ClientCore::take_mail_event(std::size_t index) noexcept {
  MailSource& source = *sources_[index].mail;
  const bool arrived = std::exchange(source.arrived, false) && source.has_something();
  if (arrived) {
    if (source.cancelled) make_ready(index);  // one event after the other
    return Event{source.token, source.arrived_kind};
  }
  if (std::exchange(source.cancelled, false)) return Event{source.token, Event::Kind::call_cancelled};
  return std::nullopt;
}

void ClientCore::run_in_dispatch(std::function<void()> body) {
  answered_.emplace_back([body = std::move(body)](const Result<Answer>&) { body(); }, Answer{});
  call_again();
}

void ClientCore::forget_requests() noexcept {
  if (mail_) mail_->forget_requests();
}

// --- events ---

std::size_t ClientCore::add_source(Source source) {
  std::size_t index = sources_.size();
  if (free_sources_.empty()) {
    sources_.push_back(source);
    free_sources_.reserve(sources_.size());
    ready_.reserve(2 * sources_.size());  // dispatch() appends before it erases
  } else {
    index = free_sources_.back();
    free_sources_.pop_back();
    sources_[index] = source;
  }
  return index;
}

void ClientCore::remove_source(std::size_t index) noexcept {
  if (sources_[index].ready) std::erase(ready_, index);
  sources_[index] = {};
  free_sources_.push_back(index);  // reserved by add_source
}

Result<std::size_t> ClientCore::add_subscription(Subscriber& subscriber, int doorbell, Event::Kind kind, Token token) {
  const std::size_t index = add_source({.subscriber = &subscriber, .kind = kind, .token = token});
  auto added = poll_add(doorbell, EPOLLIN | EPOLLET, key(Kind::doorbell, index));
  if (!added) {
    remove_source(index);
    return fail(std::move(added.error()));
  }
  // Whatever was published before now counts as a change, and the first look arms the doorbell.
  look_again(index);
  return index;
}

void ClientCore::remove_subscription(std::size_t index, int doorbell) noexcept {
  stop_polling(doorbell);
  remove_source(index);
}

void ClientCore::look_again(std::size_t index) noexcept {
  make_ready(index);
  call_again();
}

void ClientCore::stop_polling(int fd) noexcept { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

Result<void> ClientCore::add_watcher(Watcher::Impl& watcher) {
  watcher.source = add_source({.watcher = &watcher, .token = watcher.token});
  watcher.registered = true;
  look_again(watcher.source);  // start() may have read events already
  return poll_watcher(watcher);
}

Result<void> ClientCore::poll_watcher(Watcher::Impl& watcher) noexcept {
  return poll_add(watcher.channel->fd(), EPOLLIN, key(Kind::watcher, watcher.source));
}

void ClientCore::remove_watcher(Watcher::Impl& watcher) noexcept {
  stop_polling(watcher.channel->fd());
  remove_source(watcher.source);
}

void ClientCore::make_ready(std::size_t index) noexcept {
  Source& source = sources_[index];
  if (source.ready || (!source.subscriber && !source.watcher && !source.mail)) return;
  source.ready = true;
  ready_.push_back(index);  // reserved by add_source
}

void ClientCore::collect(std::span<const epoll_event> found) {
  for (const auto& event : found) {
    const auto index = static_cast<std::size_t>(event.data.u64 & 0xffff'ffff);
    switch (static_cast<Kind>(event.data.u64 >> 32)) {
      case Kind::socket: pump(); break;
      case Kind::retry: retry(); break;
      case Kind::again: {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto n = ::read(again_.get(), &count, sizeof count);
        break;
      }
      case Kind::doorbell: make_ready(index); break;
      case Kind::mail: mail_->pump(); break;
      case Kind::watcher:
        if (index < sources_.size() && sources_[index].watcher && sources_[index].watcher->pump()) make_ready(index);
        break;
    }
  }
}

std::size_t ClientCore::dispatch(std::span<Event> events, int timeout) {
  // Whatever the last call has left undone keeps the epoll readable, so waiting here overlooks nothing.
  std::array<epoll_event, events_at_once> found;
  const int n = ::epoll_wait(epoll_.get(), found.data(), static_cast<int>(found.size()), timeout);
  dispatching_ = true;
  if (n > 0) collect({found.data(), static_cast<std::size_t>(n)});
  dispatching_ = false;
  run_answered();

  std::size_t told = 0;
  if (tell_disconnected_ && told < events.size()) {
    tell_disconnected_ = false;
    events[told++] = {Token{}, Event::Kind::disconnected};
  }
  if (tell_reconnected_ && told < events.size()) {
    tell_reconnected_ = false;
    events[told++] = {Token{}, Event::Kind::reconnected};
  }
  // Only those that are ready now: a source may have to be looked at again.
  const std::size_t waiting = ready_.size();
  std::size_t looked_at = 0;
  while (looked_at < waiting && told < events.size()) {
    const std::size_t index = ready_[looked_at++];
    Source& source = sources_[index];
    source.ready = false;
    if (source.watcher) {
      events[told++] = {source.token, source.kind};
      continue;
    }
    if (source.mail) {
      if (const auto event = take_mail_event(index)) events[told++] = *event;
      continue;
    }
    const auto look = source.subscriber->look();
    if (look.changed) events[told++] = {source.token, source.kind};
    if (!look.armed) make_ready(index);
  }
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(looked_at));
  const bool more = !ready_.empty() || !answered_.empty() || n == static_cast<int>(found.size()) ||
                    tell_disconnected_ || tell_reconnected_;
  if (more) call_again();
  return told;
}

}  // namespace memio::detail

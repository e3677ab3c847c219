// SPDX-License-Identifier: MIT
#include "broker.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "log.h"
#include "methods.h"
#include "take_over.h"

namespace memio::broker {

namespace {

constexpr std::chrono::milliseconds status_interval{250};

// How much later than its caller said a call may time out.
constexpr std::chrono::milliseconds call_timer_accuracy{1};

// How often those are looked at who are not read from.
constexpr std::chrono::milliseconds unread_interval{1000};

// Generations begin here, so that they never go back even if nothing is left of an earlier memiod. None makes regions
// faster than one a microsecond.
std::uint64_t microseconds_since_boot() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_nsec) / 1000;
}

// So much more memory that large messages have used, and nobody uses now, is given back to the system.
constexpr std::size_t worth_giving_back = std::size_t{1} << 20;

UniqueFd spare_descriptor() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Says why a connection is not accepted: the answer to whatever the peer asks first.
void refuse(int socket, Error reason) {
  if (reason.code == Errc::system) reason.code = Errc::out_of_resources;
  const auto text = encode(to_reply(reason));
  // Its NUL ends the message.
  [[maybe_unused]] const auto n = ::send(socket, text.c_str(), text.size() + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Result<std::unique_ptr<Broker>> Broker::make(EventLoop& loop, Config config, Notifier& notifier, Store& store) {
  auto turns = Turns::make(loop);
  if (!turns) return fail(std::move(turns.error()));
  std::unique_ptr<Broker> broker(new Broker(loop, std::move(config), std::move(*turns), notifier, store));
  if (auto started = broker->start_sources(); !started) return fail(std::move(started.error()));
  return broker;
}

Broker::Broker(EventLoop& loop, Config config, std::unique_ptr<Turns> turns, Notifier& notifier, Store& store)
    : loop_(loop),
      notifier_(notifier),
      store_(store),
      config_(std::move(config)),
      accounts_(config_.limits.user),
      registry_(config_.limits),
      doorbells_(loop),
      hub_(doorbells_, registry_),
      idle_shrink_(loop, doorbells_),
      linger_(loop, registry_, config_.limits.linger, config_.limits.claims),
      publish_times_(loop, doorbells_, registry_),
      commands_([this](Commands::Clock::time_point time) { call_timer_.set_timer(time); }),
      turns_(std::move(turns)),
      spare_(spare_descriptor()) {
  registry_.start_after(std::max(store.last_generation(), microseconds_since_boot()));
  if (auto timer = loop_.add_timer([this] { update_status(); })) status_timer_ = std::move(*timer);
  if (auto timer = loop_.add_timer([this] { look_at_unread(); })) unread_timer_ = std::move(*timer);
}

Result<void> Broker::start_sources() {
  auto timer = loop_.add_timer([this] { commands_.expire(Commands::Clock::now()); }, call_timer_accuracy);
  if (!timer) return fail(std::move(timer.error()));
  call_timer_ = std::move(*timer);
  auto turn = loop_.add_deferred([this] { remove_leftover(); });
  if (!turn) return fail(std::move(turn.error()));
  leftover_turn_ = std::move(*turn);
  return {};
}

Broker::~Broker() {
  ending_ = true;
  store_.leave();
  for (const auto& [name, region] : registry_.regions()) region->leave();
  for (const auto& [number, session] : sessions_)
    for (const auto& [id, handle] : session->handles()) handle.region().leave();
  while (!sessions_.empty()) end_session(*sessions_.begin()->second);
}

Result<void> Broker::restore(std::vector<Store::Kept>&& kept) {
  for (auto& one : kept) {
    // The ledger of an earlier version does not say whose they are.
    const auto payer = accounts_.of_user(one.record.owner.value_or(::geteuid()));
    auto region = registry_.restore(one.record, std::move(one.fds), *payer,
                                    [&](Region& back) { back.set_record(store_.go_on(one.index, back)); });
    if (region) {
      restored_.push_back(std::move(*region));
      continue;
    }
    // The manager still has it, and starts another memiod; or the memiod that was to be taken over goes on.
    if (region.error().code == Errc::out_of_resources) return fail(std::move(region.error()));
    log_warning("the region {} does not come back: {}", one.record.spec.name, region.error().text());
    store_.drop(one.index);
  }
  return {};
}

void Broker::begin() {
  store_.begin();
  registry_.on_change([this](const auto& region, auto change) { on_registry_change(region, change); });
  for (const auto& region : restored_) {
    if (registry_.find(region->name()) == region) on_registry_change(region, Registry::Change::created);
    linger_.on_adopted(region);
  }
  if (!restored_.empty()) log_info("{} regions have come back", restored_.size());
  restored_.clear();
}

Result<void> Broker::hand_over_to(Session& session) {
  if (notifier_.has_manager())
    return fail(Errc::permission_denied,
                "this memiod is run by a service manager; restart it there: systemctl --user restart memiod.service");
  auto contents = store_.contents();
  for (const auto& listener : listeners_) contents.emplace_back("socket", std::vector<int>{listener.socket.get()});
  if (auto handed = hand_over(session.fd(), contents); !handed) {
    log_warning("process {} wanted to take over and failed: {}", session.pid().value_or(0), handed.error().text());
    ::shutdown(session.fd(), SHUT_RDWR);  // where in a message it stopped nobody knows
    return {};
  }
  log_info("process {} has taken over", session.pid().value_or(0));
  handed_over_ = true;
  store_.leave();
  loop_.exit(0);
  return {};
}

void Broker::on_registry_change(const std::shared_ptr<Region>& region, Registry::Change change) {
  if (change == Registry::Change::created) {
    if (!region->record()) region->set_record(store_.keep(*region));
    idle_shrink_.add(region);
    publish_times_.add(region);
  } else {
    region->note_removed();
    if (region->record()) region->record()->set_nameless();
    linger_.forget(*region);
    idle_shrink_.forget(*region);
    publish_times_.forget(*region);
    doorbells_.forget(region);
  }
  hub_.on_registry_change(region, change);
  on_change();
}

Result<void> Broker::listen(UniqueFd socket) {
  const int fd = socket.get();
  listeners_.push_back({std::move(socket), {}});
  auto source = loop_.add_io(fd, EPOLLIN, [this, fd](std::uint32_t) { accept_one(fd); });
  if (!source) return fail(std::move(source.error()));
  listeners_.back().source = std::move(*source);
  return {};
}

void Broker::accept_one(int listener) {
  UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) {
    if (errno != EMFILE && errno != ENFILE) return;
    log_warning("refused a connection: no file descriptor is left; raise LimitNOFILE= of memiod.service");
    // Take it and drop it, or the loop would be told of it for ever.
    spare_.reset();
    UniqueFd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)).reset();
    spare_ = spare_descriptor();
    return;
  }
  if (auto admitted = admit(socket); !admitted) {
    ++refused_;
    refuse(socket.get(), admitted.error());
    EventFields fields;
    if (const auto peer = Peer::of(socket.get())) fields = {.uid = peer->uid(), .pid = peer->pid()};
    log_event(Event::connection_refused, fields, "refused a connection: " + admitted.error().text());
  }
}

Result<Grants> Broker::grants_of(uid_t uid) const {
  if (const auto found = config_.policy.find(uid); found != config_.policy.end())
    return Grants().narrowed(found->second);
  if (uid == ::geteuid() || uid == 0) return Grants();
  return fail(Errc::permission_denied, "this memiod is not for user " + std::to_string(uid) + "; its owner, user " +
                                           std::to_string(::geteuid()) + ", can grant access with policy." +
                                           std::to_string(uid) + " in memiod.conf");
}

// Takes the socket only if it goes well.
Result<void> Broker::admit(UniqueFd& socket) {
  auto peer = Peer::of(socket.get());
  if (!peer) return fail(std::move(peer.error()));
  auto grants = grants_of(peer->uid());
  if (!grants) return fail(std::move(grants.error()));
  const auto user = accounts_.of_user(peer->uid());
  auto place = user->charge(Resource::connections);
  if (!place) return fail(std::move(place.error()));
  auto account = std::make_shared<Account>(Account::Kind::connection, peer->uid(), config_.limits.connection, user);
  return add_session(std::move(socket), {.grants = std::move(*grants),
                                         .account = std::move(account),
                                         .place = std::move(*place),
                                         .peer = std::move(*peer)});
}

Result<void> Broker::add_scoped_session(UniqueFd socket, Grants grants, Account& maker) {
  auto place = maker.charge(Resource::connections);
  if (!place) return fail(std::move(place.error()));
  auto account =
      std::make_shared<Account>(Account::Kind::scoped, maker.uid(), config_.limits.scoped, maker.shared_from_this());
  return add_session(
      std::move(socket),
      {.grants = std::move(grants), .account = std::move(account), .place = std::move(*place), .peer = std::nullopt});
}

Result<void> Broker::add_session(UniqueFd socket, Session::Identity identity) {
  const auto id = ++last_session_;
  auto session = Session::make(
      *turns_, std::move(socket), id, std::move(identity), config_.limits,
      {.on_call =
           [this](Session& s, const Call& call, Frame frame) {
             answer_call(*this, s, call, std::move(frame));
             status_timer_.start_timer(status_interval);
           },
       .on_fds_short =
           [this] {
             for (const auto& [other, s] : sessions_) s->release_received_fds();
           },
       .on_unread = [this] { unread_timer_.start_timer(unread_interval); },
       .on_unused =
           [this](const std::shared_ptr<Region>& region) {
             if (!ending_) linger_.on_unused(region);  // no timer will fire any more
           },
       .on_undeliverable = [this](std::uint64_t call, Error reason) { commands_.fail_call(call, std::move(reason)); },
       .on_end = [this](Session& s) { end_session(s); }});
  if (!session) return fail(std::move(session.error()));
  sessions_.emplace(id, std::move(*session));
  on_change();
  return {};
}

void Broker::look_at_unread() {
  bool again = false;
  for (const auto& [id, session] : sessions_) again = session->look_at_unread() || again;
  if (again) unread_timer_.start_timer(unread_interval);
}

void Broker::end_session(Session& session) {
  counts_ += session.counts();
  for (auto& watch : session.watches()) hub_.remove(watch);
  session.watches().clear();
  if (!ending_) forget_mailbox(session);
  leftover_.insert(leftover_.end(), session.created().begin(), session.created().end());
  sessions_.erase(session.id());
  if (!ending_) remove_leftover();
  on_change();
}

// Each watch looks at each region that goes, so thousands of either are removed in several turns of the loop.
void Broker::remove_leftover() {
  constexpr std::size_t most_looks = 10'000;  // some milliseconds' work
  for (std::size_t looks = 0; !leftover_.empty() && looks < most_looks; looks += 1 + hub_.count()) {
    if (const auto region = leftover_.front().lock()) registry_.remove(region);
    leftover_.pop_front();
  }
  if (!leftover_.empty()) leftover_turn_.run_soon();
}

void Broker::forget_mailbox(Session& session) {
  auto* mailbox = session.mailbox_if_any();
  if (!mailbox) return;
  topics_.forget(*mailbox);
  commands_.forget(*mailbox);
}

void Broker::on_change() {
  status_timer_.start_timer(status_interval);
  idle_.set_owned(!sessions_.empty() || !registry_.regions().empty());
}

std::string Broker::status() const {
  return std::to_string(registry_.regions().size()) + " regions, " + std::to_string(sessions_.size()) + " connections";
}

Broker::Totals Broker::totals() const {
  Totals totals{.sessions = last_session_, .refused = refused_, .counts = counts_};
  for (const auto& [id, session] : sessions_) totals.counts += session->counts();
  return totals;
}

void Broker::configure(Result<Config> config) {
  if (!config) {
    log_event(Event::configuration_refused, {},
              "the configuration was not taken over, the old one stays: " + config.error().text());
    return;
  }
  config_ = std::move(*config);
  log_event(Event::configuration_read, {}, "the configuration was read again");
}

void Broker::give_back_memory() {
  const std::size_t unused = ::mallinfo2().fordblks;
  kept_memory_ = std::min(kept_memory_, unused);
  if (unused < kept_memory_ + worth_giving_back) return;
  ::malloc_trim(0);
  kept_memory_ = ::mallinfo2().fordblks;
}

void Broker::update_status() {
  give_back_memory();
  auto status = this->status();
  if (status == told_status_) return;
  notifier_.tell_status(status);
  told_status_ = std::move(status);
}

}  // namespace memio::broker

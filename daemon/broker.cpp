// SPDX-License-Identifier: MIT
#include "broker.h"

#include <fcntl.h>
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

// Generations begin here, so that they never go back even if nothing is left of an earlier memiod. None makes regions
// faster than one a microsecond.
std::uint64_t microseconds_since_boot() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_nsec) / 1000;
}

UniqueFd spare_descriptor() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// The peer of a connection, if it is one we talk to: our own user or root.
std::optional<ucred> accepted_peer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  if (peer.uid != ::geteuid() && peer.uid != 0) {
    log_warning("refused a connection of process {}, which belongs to another user (uid {})", peer.pid, peer.uid);
    return std::nullopt;
  }
  return peer;
}

}  // namespace

Broker::Broker(EventLoop& loop, const Limits& limits, Notifier& notifier, Store& store)
    : loop_(loop),
      limits_(limits),
      notifier_(notifier),
      store_(store),
      registry_(limits_),
      doorbells_(loop),
      hub_(doorbells_, registry_),
      idle_shrink_(loop, doorbells_),
      linger_(loop, registry_, limits_.linger, limits_.claims),
      spare_(spare_descriptor()) {
  registry_.start_after(std::max(store.last_generation(), microseconds_since_boot()));
  registry_.on_change([this](const auto& region, auto change) { on_registry_change(region, change); });
  if (auto timer = loop_.add_timer([this] { update_status(); })) status_timer_ = std::move(*timer);
}

Broker::~Broker() {
  ending_ = true;
  store_.leave();
  for (const auto& [name, region] : registry_.regions()) region->leave();
  for (const auto& session : sessions_)
    for (const auto& [id, handle] : session->handles()) handle.region().leave();
  while (!sessions_.empty()) end_session(*sessions_.front());
}

void Broker::restore(std::vector<Store::Kept> kept) {
  for (auto& [index, record, fds] : kept) {
    auto region =
        registry_.restore(record, std::move(fds), [&](Region& back) { back.set_record(store_.go_on(index, back)); });
    if (region) {
      linger_.on_adopted(*region);
      continue;
    }
    log_warning("the region {} does not come back: {}", record.spec.name, region.error().text());
    store_.drop(index);
  }
  if (!kept.empty()) log_info("{} regions have come back", registry_.regions().size());
}

void Broker::reload() { log_info("there is nothing to read anew"); }

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
  } else {
    region->note_removed();
    if (region->record()) region->record()->set_nameless();
    linger_.forget(*region);
    idle_shrink_.forget(*region);
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
  const auto peer = accepted_peer(socket.get());
  if (!peer) return;
  if (auto added = add_session(std::move(socket), Grants(), peer->pid); !added)
    log_warning("refused a connection of process {}: {}", peer->pid, added.error().text());
}

Result<void> Broker::add_session(UniqueFd socket, Grants grants, std::optional<pid_t> pid) {
  if (sessions_.size() >= limits_.sessions)
    return fail(Errc::limit_exceeded,
                "memiod has all the " + std::to_string(limits_.sessions) + " connections that it may have");
  auto session =
      Session::make(loop_, std::move(socket), std::move(grants), pid, limits_,
                    {.on_call = [this](Session& s, const Call& call,
                                       std::vector<UniqueFd> fds) { answer_call(*this, s, call, std::move(fds)); },
                     .on_unused =
                         [this](const std::shared_ptr<Region>& region) {
                           if (!ending_) linger_.on_unused(region);  // no timer will fire any more
                         },
                     .on_end = [this](Session& s) { end_session(s); }});
  if (!session) return fail(std::move(session.error()));
  sessions_.push_back(std::move(*session));
  on_change();
  return {};
}

void Broker::end_session(Session& session) {
  for (auto& watch : session.watches()) hub_.remove(watch);
  session.watches().clear();
  if (!ending_)
    for (const auto& created : session.created())
      if (const auto region = created.lock()) registry_.remove(region);
  std::erase_if(sessions_, [&](const auto& other) { return other.get() == &session; });
  on_change();
}

void Broker::on_change() {
  status_timer_.start_timer(status_interval);
  idle_.set_owned(!sessions_.empty() || !registry_.regions().empty());
}

std::string Broker::status() const {
  return std::to_string(registry_.regions().size()) + " regions, " + std::to_string(sessions_.size()) + " connections";
}

void Broker::update_status() {
  auto status = this->status();
  if (status == told_status_) return;
  notifier_.tell_status(status);
  told_status_ = std::move(status);
}

}  // namespace memio::broker

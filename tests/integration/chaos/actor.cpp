// SPDX-License-Identifier: MIT
#include "actor.h"

#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "memio/client.h"
#include "noise.h"
#include "support/payload.h"

namespace memio::test {

namespace {

constexpr std::size_t longest_message = 64 << 10;

std::pair<UniqueFd, UniqueFd> make_sockets() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socket pair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void send(int socket, const Json& json) {
  const auto text = json.dump();
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("the other side has gone");
}

// Null: the other side has gone.
Json receive(int socket) {
  std::string text(longest_message, '\0');
  const auto n = ::recv(socket, text.data(), text.size(), 0);
  return n > 0 ? Json::parse(text.begin(), text.begin() + n) : Json();
}

// What ends the actor, and says why.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}

Json to_json(const Error& error) { return {{"error", error.name()}}; }

// What runs in the actor's process.
class Acting {
 public:
  explicit Acting(const std::string& socket_path)
      : socket_path_(socket_path), client_(must(Client::connect(socket_path))) {}

  [[nodiscard]] int fd() const { return client_.get_fd(); }
  void dispatch();
  Json run(const Json& command);

 private:
  // Each answers one command.
  Json create(const Json& command);
  Json open(const Json& command);
  Json write(const Json& command);
  Json begin(const Json& command);
  Json commit(const Json& command);
  Json lease(const Json& command);
  Json handle(const Json& command);
  Json call(const Json& command);
  Json emit(const Json& command);
  Json view();

  Json keep(const Json& command, Result<Region> region);
  Region& region(const Json& command) { return regions_.at(command.at("handle")); }
  void follow_watch();
  void answer_calls();
  void hear();

  std::string socket_path_;
  Client client_;
  std::map<std::uint64_t, Region> regions_;
  struct Lease {
    std::uint64_t handle;
    Snapshot snapshot;
  };
  std::map<std::uint64_t, Lease> leases_;
  std::map<std::uint64_t, std::uint64_t> told_;  // by handle: the sequence at the last event
  std::optional<Watcher> watcher_;
  std::set<std::string> watched_;
  bool watch_ready_ = true;
  std::map<std::string, CommandHandler> commands_;
  std::optional<Listener> listener_;
  std::uint64_t heard_ = 0;        // messages since the last that has a number, the lost ones included
  std::uint64_t last_number_ = 0;  // of that
};

void Acting::dispatch() {
  std::array<Event, 8> events;
  for (std::size_t n = events.size(); n == events.size();) {
    n = client_.dispatch(events);
    for (std::size_t i = 0; i < n; ++i) {
      if (events[i].kind == Event::Kind::watch_ready) follow_watch();
      if (events[i].kind == Event::Kind::call_arrived) answer_calls();
      if (events[i].kind == Event::Kind::message_arrived) hear();
      if (events[i].kind != Event::Kind::region_changed) continue;
      const auto found = regions_.find(events[i].token.value);
      if (found != regions_.end()) told_[found->first] = found->second.sequence();
    }
  }
}

void Acting::follow_watch() {
  for (;;) {
    const auto event = must(watcher_->next());
    if (!event) return;
    // After memiod was gone all that is there is told again.
    if (event->kind == EventKind::present && std::exchange(watch_ready_, false)) watched_.clear();
    if (event->kind == EventKind::ready && std::exchange(watch_ready_, true)) watched_.clear();
    if (event->kind == EventKind::present || event->kind == EventKind::created) watched_.insert(event->region->name);
    if (event->kind == EventKind::removed) watched_.erase(event->region->name);
  }
}

// Numbers: even ones come back, odd ones are rejected.
void Acting::answer_calls() {
  for (auto& [name, handler] : commands_)
    for (auto call = must(handler.next()); call; call = must(handler.next())) {
      const auto number = Json::parse(call->arguments()).get<std::uint64_t>();
      // It may have been given up meanwhile.
      static_cast<void>(number % 2 == 0 ? call->answer(call->arguments()) : call->reject("Odd", "", call->arguments()));
    }
}

void Acting::hear() {
  for (auto message = must(listener_->next()); message; message = must(listener_->next())) {
    heard_ += 1 + message->lost;
    if (message->payload == "null") continue;
    last_number_ = Json::parse(message->payload);
    heard_ = 0;
  }
}

Json Acting::keep(const Json& command, Result<Region> region) {
  if (!region) return to_json(region.error());
  const std::uint64_t handle = command.at("handle");
  Json answer = {{"generation", region->info().generation}, {"sequence", region->sequence()}};
  const auto& kept = regions_.emplace(handle, std::move(*region)).first;
  if (const auto subscribed = kept->second.subscribe({handle}, 0); !subscribed) return to_json(subscribed.error());
  return answer;
}

Json Acting::create(const Json& command) {
  return keep(command, client_.create(command.at("name").get<std::string>(),
                                      {.capacity = command.at("capacity"),
                                       .slots = command.at("slots"),
                                       .lifetime = static_cast<Lifetime>(command.at("lifetime").get<int>()),
                                       .exclusive = command.at("exclusive")}));
}

Json Acting::open(const Json& command) {
  return keep(command,
              client_.open(command.at("name").get<std::string>(), command.at("write") ? Access::write : Access::read));
}

Json Acting::write(const Json& command) {
  Region& region = this->region(command);
  const std::uint64_t seed = command.at("seed");
  std::vector<std::byte> payload(payload_length(seed, region.info().capacity) +
                                 (command.at("too_long") ? region.info().capacity + 1 : 0));
  fill_payload(payload, seed);
  const auto written = region.write(payload, seed);
  return written ? Json{{"sequence", *written}} : to_json(written.error());
}

// Half a write, with which the actor can be killed.
Json Acting::begin(const Json& command) {
  Region& region = this->region(command);
  const std::uint64_t seed = command.at("seed");
  const auto place = region.begin(payload_length(seed, region.info().capacity));
  if (!place) return to_json(place.error());
  std::ranges::fill(place->first(place->size() / 2), std::byte{0x55});
  return Json::object();
}

Json Acting::commit(const Json& command) {
  Region& region = this->region(command);
  region.abort();
  return write(command);
}

// Reads, and keeps the snapshot if the command has a number for it.
Json Acting::lease(const Json& command) {
  Region& region = this->region(command);
  auto snapshot = region.read();
  if (!snapshot) return to_json(snapshot.error());
  const bool whole =
      snapshot->sequence() == 0 || is_whole(snapshot->data(), snapshot->version(), region.info().capacity);
  Json answer = {{"sequence", snapshot->sequence()}, {"version", snapshot->version()}, {"whole", whole}};
  if (command.contains("lease"))
    leases_.try_emplace(command.at("lease"), Lease{command.at("handle"), std::move(*snapshot)});
  return answer;
}

Json Acting::handle(const Json& command) {
  const std::string name = command.at("name");
  auto handler = client_.handle(name);
  if (!handler) return to_json(handler.error());
  commands_.emplace(name, std::move(*handler));
  return Json::object();
}

Json Acting::call(const Json& command) {
  const auto answer = client_.call(command.at("name").get<std::string>(), command.at("arguments").dump(),
                                   {.timeout = std::chrono::milliseconds(command.at("timeout").get<int>())});
  if (answer) return {{"result", Json::parse(answer->result)}};
  Json failed = to_json(answer.error());
  if (answer.error().rejection) failed["details"] = Json::parse(answer.error().rejection->details);
  return failed;
}

Json Acting::emit(const Json& command) {
  for (int n = command.at("times"); n > 0; --n)
    if (const auto emitted = client_.emit("t/chaos"); !emitted) return to_json(emitted.error());
  return Json::object();
}

// All that it has been told of.
Json Acting::view() {
  dispatch();
  Json told = Json::object();
  for (const auto& [handle, sequence] : told_) told[std::to_string(handle)] = sequence;
  return {{"told", told},
          {"watched", watcher_ ? Json(watched_) : Json()},
          {"heard", listener_ ? Json(heard_) : Json()},
          {"last_number", last_number_}};
}

Json Acting::run(const Json& command) {
  const std::string what = command.at("do");
  if (what == "create") return create(command);
  if (what == "open") return open(command);
  if (what == "write") return write(command);
  if (what == "begin") return begin(command);
  if (what == "commit") return commit(command);
  if (what == "read") return lease(command);
  if (what == "view") return view();
  if (what == "handle") return handle(command);
  if (what == "call") return call(command);
  if (what == "emit") return emit(command);
  if (what == "release") {
    leases_.erase(command.at("lease"));
  } else if (what == "close") {
    told_.erase(command.at("handle"));
    std::erase_if(leases_, [&](const auto& lease) { return lease.second.handle == command.at("handle"); });
    regions_.erase(command.at("handle"));
  } else if (what == "watch") {
    watcher_.emplace(must(client_.watch("", false, {0})));
  } else if (what == "unhandle") {
    commands_.erase(command.at("name"));
  } else if (what == "listen") {
    listener_.emplace(must(client_.listen("t/**")));
  } else if (what == "noise") {
    make_noise(socket_path_, command.at("seed"));
  } else if (what == "remove") {
    if (const auto removed = client_.remove(command.at("name").get<std::string>()); !removed)
      return to_json(removed.error());
  } else {
    throw std::runtime_error("no such command: " + what);
  }
  return Json::object();
}

int act(int commands, const std::string& socket_path) {
  Acting acting(socket_path);
  for (;;) {
    std::array<pollfd, 2> wanted = {pollfd{commands, POLLIN, 0}, pollfd{acting.fd(), POLLIN, 0}};
    if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
    if (wanted[1].revents != 0) acting.dispatch();
    if (wanted[0].revents == 0) continue;
    const Json command = receive(commands);
    if (command.is_null()) return 0;
    send(commands, acting.run(command));
  }
}

}  // namespace

Actor::Actor(const std::string& socket_path) : Actor(socket_path, make_sockets()) {}

Actor::Actor(const std::string& socket_path, std::pair<UniqueFd, UniqueFd> sockets)
    : socket_(std::move(sockets.first)), process_(Process::fork([&] {
        // Nothing else of the test's: others of its actors are to be gone when they are killed.
        constexpr int commands = STDERR_FILENO + 1;
        ::dup2(sockets.second.get(), commands);
        ::close_range(commands + 1, std::numeric_limits<unsigned>::max(), 0);
        return act(commands, socket_path);
      })) {
  ask({{"do", "view"}});  // it is connected then
}

Json Actor::ask(const Json& command) {
  constexpr int longest = 20'000;
  send(socket_.get(), command);
  pollfd wanted{socket_.get(), POLLIN, 0};
  if (::poll(&wanted, 1, longest) != 1) throw std::runtime_error("no answer to " + command.dump());
  Json answer = receive(socket_.get());
  if (answer.is_null()) throw std::runtime_error("an actor ended over " + command.dump());
  return answer;
}

void Actor::leave() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  if (const int code = process_.wait(); code != 0)
    throw std::runtime_error("an actor ended with " + std::to_string(code));
}

void Actor::kill() {
  process_.signal(SIGKILL);
  process_.wait();
}

void Actor::stop() {
  process_.signal(SIGSTOP);
  stopped_ = true;
}

void Actor::go_on() {
  process_.signal(SIGCONT);
  stopped_ = false;
}

}  // namespace memio::test

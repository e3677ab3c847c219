// SPDX-License-Identifier: MIT
#include "memio/client.h"

#include <algorithm>

#include "client_core.h"
#include "connect.h"
#include "memio/socket_path.h"
#include "watcher.h"

namespace memio {

namespace {

using Answer = detail::ClientCore::Answer;

JsonText create_parameters(std::string_view name, const RegionOptions& options) {
  std::optional<std::uint64_t> shrink_after;
  if (options.shrink_after)
    shrink_after = static_cast<std::uint64_t>(std::max<std::int64_t>(options.shrink_after->count(), 0));
  return protocol::to_text(protocol::CreateParameters{.name = std::string(name),
                                                      .capacity = options.capacity,
                                                      .slots = options.slots,
                                                      .layout = options.layout,
                                                      .lifetime = options.lifetime,
                                                      .exclusive = options.exclusive,
                                                      .huge_pages = options.huge_pages,
                                                      .shrink_after = shrink_after});
}
JsonText open_parameters(std::string_view name, Access access) {
  return protocol::to_text(protocol::OpenParameters{std::string(name), access});
}
JsonText list_parameters(std::string_view pattern) {
  protocol::ListParameters parameters;
  if (!pattern.empty()) parameters.pattern = std::string(pattern);
  return protocol::to_text(parameters);
}
JsonText stat_parameters(std::string_view name) {
  return protocol::to_text(protocol::StatParameters{std::string(name)});
}
JsonText seal_parameters(Region& region) {
  return protocol::to_text(protocol::SealParameters{RegionAccess::open(region).handle().value_or(0)});
}
JsonText remove_parameters(std::string_view name) {
  return protocol::to_text(protocol::RemoveParameters{std::string(name)});
}

// The answer's parameters as a struct.
template <class Reply>
Result<Reply> read_answer(const Result<Answer>& answer) {
  if (!answer) return fail(answer.error());
  auto reply = protocol::parse_reply<Reply>(answer->parameters);
  if (!reply) return fail(Errc::protocol_violation, "memiod answered with a wrong field: " + reply.error().message);
  return reply;
}

Result<std::vector<RegionInfo>> read_list(const Result<Answer>& answer) {
  auto reply = read_answer<protocol::ListReply>(answer);
  if (!reply) return fail(std::move(reply.error()));
  return std::move(reply->regions);
}
Result<void> read_nothing(const Result<Answer>& answer) {
  if (!answer) return fail(answer.error());
  return {};
}

Result<UniqueFd> read_connection(Result<Answer> answer) {
  const auto reply = read_answer<protocol::OpenConnectionReply>(answer);
  if (!reply) return fail(reply.error());
  return answer->take_fd(reply->connection_file_descriptor);
}

}  // namespace

Result<std::string> Client::default_socket_path() { return memio::default_socket_path(); }

Result<Client> Client::connect(std::string_view socket_path) {
  Result<std::string> path = std::string(socket_path);
  if (socket_path.empty()) path = default_socket_path();
  if (!path) return fail(std::move(path.error()));
  auto socket = connect_socket(*path, Blocking::yes);
  if (!socket) return fail(std::move(socket.error()));
  auto core = detail::ClientCore::make(std::move(*socket), std::move(*path));
  if (!core) return fail(std::move(core.error()));
  return Client(std::move(*core));
}

Result<Client> Client::adopt(UniqueFd socket, bool renewable) {
  auto core = detail::ClientCore::make(std::move(socket), {});
  if (!core) return fail(std::move(core.error()));
  (*core)->set_renewable(renewable);
  return Client(std::move(*core));
}

Result<void> Client::renew(UniqueFd socket) { return core_->renew(std::move(socket)); }

Client::Client(std::shared_ptr<detail::ClientCore> core) noexcept : core_(std::move(core)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&& other) noexcept {
  std::swap(core_, other.core_);
  return *this;
}
Client::~Client() {
  if (core_) core_->forget_requests();  // they may hold what holds the core
}

Result<Region> Client::create(std::string_view name, const RegionOptions& options) {
  auto region =
      core_->make_region(core_->call(protocol::create_method, create_parameters(name, options)), Access::write, true);
  if (!region || !options.exclusive) return region;
  // Not before it is mapped: nobody can map it for writing afterwards, us included.
  auto sealed = read_nothing(core_->call(protocol::seal_method, seal_parameters(*region)));
  if (!sealed) return fail(std::move(sealed.error()));
  return region;
}
Result<Region> Client::open(std::string_view name, Access access) {
  return core_->make_region(core_->call(protocol::open_method, open_parameters(name, access)), access);
}
Result<std::vector<RegionInfo>> Client::list(std::string_view pattern) {
  return read_list(core_->call(protocol::list_method, list_parameters(pattern)));
}
Result<RegionState> Client::stat(std::string_view name) {
  return read_answer<RegionState>(core_->call(protocol::stat_method, stat_parameters(name)));
}
Result<std::vector<SessionInfo>> Client::list_sessions() {
  auto reply = read_answer<protocol::ListSessionsReply>(
      core_->call(protocol::list_sessions_method, protocol::to_text(protocol::ListSessionsParameters{})));
  if (!reply) return fail(std::move(reply.error()));
  return std::move(reply->sessions);
}
Result<std::vector<MetricFamily>> Client::metrics() {
  auto reply = read_answer<protocol::MetricsReply>(
      core_->call(protocol::metrics_method, protocol::to_text(protocol::MetricsParameters{})));
  if (!reply) return fail(std::move(reply.error()));
  return std::move(reply->families).value_or(std::vector<MetricFamily>());
}
Result<std::string> Client::open_metrics() {
  auto reply = read_answer<protocol::MetricsReply>(
      core_->call(protocol::metrics_method, protocol::to_text(protocol::MetricsParameters{.open_metrics = true})));
  if (!reply) return fail(std::move(reply.error()));
  return std::move(reply->open_metrics).value_or("");
}
Result<void> Client::remove(std::string_view name) {
  return read_nothing(core_->call(protocol::remove_method, remove_parameters(name)));
}

// The core calls back only from its own dispatch, so `core` outlives every callback that borrows it.
void Client::create_async(std::string_view name, const RegionOptions& options, Done<Region> done) {
  core_->call_async(protocol::create_method, create_parameters(name, options),
                    [core = core_.get(), exclusive = options.exclusive, done = std::move(done)](Result<Answer> answer) {
                      auto region = core->make_region(std::move(answer), Access::write, true);
                      if (!region || !exclusive) return done(std::move(region));
                      auto parameters = seal_parameters(*region);
                      auto kept = std::make_shared<Region>(std::move(*region));
                      core->call_async(protocol::seal_method, std::move(parameters),
                                       [kept, done](Result<Answer> sealed) {
                                         if (!sealed) return done(fail(std::move(sealed.error())));
                                         done(std::move(*kept));
                                       });
                    });
}
void Client::open_async(std::string_view name, Access access, Done<Region> done) {
  core_->call_async(protocol::open_method, open_parameters(name, access),
                    [core = core_.get(), access, done = std::move(done)](Result<Answer> answer) {
                      done(core->make_region(std::move(answer), access));
                    });
}
void Client::list_async(std::string_view pattern, Done<std::vector<RegionInfo>> done) {
  core_->call_async(protocol::list_method, list_parameters(pattern),
                    [done = std::move(done)](const Result<Answer>& answer) { done(read_list(answer)); });
}
void Client::stat_async(std::string_view name, Done<RegionState> done) {
  core_->call_async(protocol::stat_method, stat_parameters(name),
                    [done = std::move(done)](const Result<Answer>& answer) { done(read_answer<RegionState>(answer)); });
}
void Client::remove_async(std::string_view name, Done<void> done) {
  core_->call_async(protocol::remove_method, remove_parameters(name),
                    [done = std::move(done)](const Result<Answer>& answer) { done(read_nothing(answer)); });
}

Result<UniqueFd> Client::open_connection(std::optional<std::vector<Grant>> grants) {
  return read_connection(core_->call(protocol::open_connection_method,
                                     protocol::to_text(protocol::OpenConnectionParameters{std::move(grants)})));
}

Result<Watcher> Client::watch(std::string_view pattern, bool versions, Token token) {
  auto socket = open_connection();
  if (!socket) return fail(std::move(socket.error()));
  auto impl = std::make_shared<Watcher::Impl>(core_, token, std::string(pattern), versions);
  if (auto started = impl->start(std::move(*socket)); !started) return fail(std::move(started.error()));
  if (auto added = core_->add_watcher(*impl); !added) return fail(std::move(added.error()));
  return Watcher(std::move(impl));
}

void Client::watch_async(std::string_view pattern, bool versions, Token token, Done<Watcher> done) {
  // Weakly: the core holds what it calls back.
  auto begin = [weak = std::weak_ptr(core_), token, pattern = std::string(pattern), versions,
                done = std::move(done)](Result<Answer> answer) {
    const auto core = weak.lock();
    if (!core) return;
    auto socket = read_connection(std::move(answer));
    if (!socket) return done(fail(std::move(socket.error())));
    auto impl = std::make_shared<Watcher::Impl>(core, token, pattern, versions);
    auto begun = impl->begin(std::move(*socket));
    if (begun) begun = core->add_watcher(*impl);
    if (!begun) return done(fail(std::move(begun.error())));
    done(Watcher(std::move(impl)));
  };
  core_->call_async(protocol::open_connection_method, protocol::to_text(protocol::OpenConnectionParameters{}),
                    std::move(begin));
}

int Client::get_fd() const noexcept { return core_->get_fd(); }
bool Client::connected() const noexcept { return core_->connected(); }

std::size_t Client::dispatch(std::span<Event> events) {
  const auto core = core_;  // a callback may destroy this object
  return core->dispatch(events);
}

Result<std::size_t> Client::wait(std::span<Event> events, std::chrono::milliseconds timeout) {
  const auto core = core_;  // a callback may destroy this object
  const auto deadline = deadline_in(timeout);
  for (;;) {
    if (const auto told = core->dispatch(events, milliseconds_left(deadline)); told > 0) return told;
    if (is_past(deadline)) return std::size_t{0};
  }
}

}  // namespace memio

// SPDX-License-Identifier: MIT
// memio.h over the C++ API. No exception leaves a function of this file.

#include "c_api.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <string>

#include "deadline.h"

struct memio_snapshot {
  memio::Snapshot snapshot;
};
struct memio_watcher {
  memio::Watcher watcher;
  memio::WatchEvent last;  // what the event taken last points into
};
struct memio_list {
  std::vector<memio::RegionInfo> regions;
};

namespace {

using memio::Errc;
using memio::Error;
using memio::Result;
using memio::c_api::give;
using memio::c_api::give_nothing;
using memio::c_api::guarded;
using memio::c_api::report;

thread_local Error last_error;
thread_local std::string last_message;

int c_code(Errc code) {
  switch (code) {
    case Errc::no_such_region: return MEMIO_NO_SUCH_REGION;
    case Errc::region_exists: return MEMIO_REGION_EXISTS;
    case Errc::invalid_name: return MEMIO_INVALID_NAME;
    case Errc::invalid_pattern: return MEMIO_INVALID_PATTERN;
    case Errc::invalid_capacity: return MEMIO_INVALID_CAPACITY;
    case Errc::invalid_slots: return MEMIO_INVALID_SLOTS;
    case Errc::invalid_shrink_after: return MEMIO_INVALID_SHRINK_AFTER;
    case Errc::permission_denied: return MEMIO_PERMISSION_DENIED;
    case Errc::limit_exceeded: return MEMIO_LIMIT_EXCEEDED;
    case Errc::out_of_resources: return MEMIO_OUT_OF_RESOURCES;
    case Errc::payload_too_large: return MEMIO_PAYLOAD_TOO_LARGE;
    case Errc::read_only: return MEMIO_READ_ONLY;
    case Errc::busy: return MEMIO_BUSY;
    case Errc::corrupt: return MEMIO_CORRUPT;
    case Errc::evicted: return MEMIO_EVICTED;
    case Errc::misuse: return MEMIO_MISUSE;
    case Errc::disconnected: return MEMIO_DISCONNECTED;
    case Errc::timed_out: return MEMIO_TIMED_OUT;
    case Errc::aborted: return MEMIO_ABORTED;
    case Errc::peer_gone: return MEMIO_PEER_GONE;
    case Errc::system: return MEMIO_SYSTEM;
    case Errc::no_such_command: return MEMIO_NO_SUCH_COMMAND;
    case Errc::command_exists: return MEMIO_COMMAND_EXISTS;
    case Errc::command_failed: return MEMIO_COMMAND_FAILED;
    case Errc::handler_gone: return MEMIO_HANDLER_GONE;
    case Errc::call_cancelled: return MEMIO_CALL_CANCELLED;
    case Errc::call_timed_out: return MEMIO_CALL_TIMED_OUT;
    default: return MEMIO_PROTOCOL;
  }
}

int give_number(const Result<std::uint64_t>& result, uint64_t* out) {
  if (!result) return report(result.error());
  if (out) *out = *result;
  return MEMIO_OK;
}

memio_region_info c_info(const memio::RegionInfo& info) {
  return {info.name.c_str(),
          info.generation,
          static_cast<memio_layout>(info.layout),
          static_cast<uint32_t>(info.slots),
          info.capacity,
          info.stride,
          static_cast<memio_lifetime>(info.lifetime),
          info.exclusive ? 1 : 0,
          info.huge_pages ? 1 : 0,
          static_cast<int64_t>(info.shrink_after.value_or(0)),
          info.sequence,
          info.handles};
}

std::span<const std::byte> bytes(const void* data, size_t length) {
  return {static_cast<const std::byte*>(data), length};
}

constexpr std::size_t events_at_once = 64;

std::size_t to_c(std::span<const memio::Event> from, memio_event* to) {
  for (std::size_t i = 0; i < from.size(); ++i)
    to[i] = {from[i].token.value, static_cast<memio_event_kind>(from[i].kind)};
  return from.size();
}

// In the order of enum memio_right.
constexpr std::array c_rights = {memio::Right::read,   memio::Right::write, memio::Right::create,
                                 memio::Right::remove, memio::Right::watch, memio::Right::invoke,
                                 memio::Right::handle, memio::Right::emit,  memio::Right::listen};
static_assert(1U << (c_rights.size() - 1) == MEMIO_RIGHT_LISTEN);

int give_socket(Result<memio::UniqueFd> from, int* socket) {
  if (!from) return report(from.error());
  *socket = from->release();
  return MEMIO_OK;
}

// Adds calls that were answered, as far as there is room.
std::size_t add_answered(memio_client& client, memio_event* events, std::size_t told, std::size_t capacity) {
  for (; told < capacity && !client.answered.empty(); ++told) {
    events[told] = {client.answered.front(), MEMIO_CALL_ANSWERED};
    client.answered.pop_front();
  }
  return told;
}

}  // namespace

int memio::c_api::report(const Error& error) noexcept {
  try {
    last_error = error;
  } catch (const std::bad_alloc&) {
    last_error = Error{error.code, error.system_errno, {}};
  }
  return c_code(error.code);
}

const char* memio_error_message(void) {
  try {
    last_message = last_error.text();
    return last_message.c_str();
  } catch (const std::bad_alloc&) {
    return "out of memory";
  }
}
const char* memio_error_name(void) { return memio::error_name(last_error.code).data(); }
int memio_error_errno(void) { return last_error.system_errno; }
const char* memio_error_rejection(void) { return last_error.rejection ? last_error.rejection->error.c_str() : nullptr; }
const char* memio_error_details(void) {
  return last_error.rejection && !last_error.rejection->details.empty() ? last_error.rejection->details.c_str()
                                                                        : nullptr;
}

int memio_connect(const char* path, memio_client** client) {
  return guarded([&] { return give(memio::Client::connect(path ? path : ""), client); });
}
int memio_adopt(int socket, memio_client** client) {
  return guarded([&] { return give(memio::Client::adopt(memio::UniqueFd(socket)), client); });
}
void memio_client_free(memio_client* client) { delete client; }

int memio_create(memio_client* client, const char* name, const memio_region_options* options, memio_region** region) {
  return guarded([&] {
    if (options->size < sizeof *options)
      return report(Error{Errc::misuse, 0, "memio_region_options.size is not its size"});
    memio::RegionOptions cpp{.capacity = options->capacity,
                             .layout = static_cast<memio::Layout>(options->layout),
                             .lifetime = static_cast<memio::Lifetime>(options->lifetime),
                             .exclusive = options->exclusive != 0,
                             .huge_pages = options->huge_pages != 0};
    if (options->shrink_after != 0) cpp.shrink_after = std::chrono::milliseconds(options->shrink_after);
    if (options->slots != 0) cpp.slots = options->slots;
    return give(client->client.create(name, cpp), region);
  });
}
int memio_open(memio_client* client, const char* name, memio_access access, memio_region** region) {
  return guarded([&] { return give(client->client.open(name, static_cast<memio::Access>(access)), region); });
}
int memio_remove(memio_client* client, const char* name) {
  return guarded([&] { return give_nothing(client->client.remove(name)); });
}

int memio_list_regions(memio_client* client, const char* pattern, memio_list** list) {
  return guarded([&] { return give(client->client.list(pattern ? pattern : ""), list); });
}
size_t memio_list_length(const memio_list* list) { return list->regions.size(); }
memio_region_info memio_list_get(const memio_list* list, size_t index) { return c_info(list->regions[index]); }
void memio_list_free(memio_list* list) { delete list; }

int memio_stat(memio_client* client, const char* name, memio_region_state* state) {
  return guarded([&] {
    auto result = client->client.stat(name);
    if (!result) return report(result.error());
    *state = {result->region.sequence, result->version, result->length, result->memory, result->region.handles};
    return static_cast<int>(MEMIO_OK);
  });
}

int memio_open_connection(memio_client* client, int* socket) {
  return guarded([&] { return give_socket(client->client.open_connection(), socket); });
}

int memio_open_scoped_connection(memio_client* client, const memio_grant* grants, size_t count, int* socket) {
  return guarded([&] {
    std::vector<memio::Grant> all;
    for (const auto& [pattern, rights] : std::span(grants, count)) {
      if (rights >> c_rights.size() != 0) return report(Error{Errc::misuse, 0, "a grant has an unknown right"});
      auto& grant = all.emplace_back(memio::Grant{pattern, {}});
      for (std::size_t i = 0; i < c_rights.size(); ++i)
        if ((rights >> i & 1U) != 0) grant.rights.push_back(c_rights[i]);
    }
    return give_socket(client->client.open_connection(std::move(all)), socket);
  });
}

int memio_get_fd(const memio_client* client) { return client->client.get_fd(); }

size_t memio_dispatch(memio_client* client, memio_event* events, size_t capacity) {
  std::array<memio::Event, events_at_once> found;
  size_t told = 0;
  guarded([&] {
    told = client->client.dispatch(std::span(found).first(std::min(capacity, found.size())));
    return static_cast<int>(MEMIO_OK);
  });
  told = to_c(std::span(found).first(told), events);
  return add_answered(*client, events, told, capacity);
}

int memio_wait(memio_client* client, memio_event* events, size_t capacity, int64_t timeout) {
  return guarded([&] {
    std::array<memio::Event, events_at_once> found;
    const auto deadline = memio::deadline_in(std::chrono::milliseconds(timeout));
    for (;;) {
      // One round at a time: an answer to a call ends the wait without being an event of the C++ API.
      if (const auto before = add_answered(*client, events, 0, capacity); before > 0) return static_cast<int>(before);
      pollfd wanted{client->client.get_fd(), POLLIN, 0};
      if (::poll(&wanted, 1, memio::milliseconds_left(deadline)) < 0 && errno != EINTR)
        return report(Error{Errc::system, errno, "waiting for memiod"});
      const auto told = client->client.dispatch(std::span(found).first(std::min(capacity, found.size())));
      const auto all = add_answered(*client, events, to_c(std::span(found).first(told), events), capacity);
      if (all > 0 || memio::is_past(deadline)) return static_cast<int>(all);
    }
  });
}

void memio_region_free(memio_region* region) { delete region; }
memio_region_info memio_region_get_info(const memio_region* region) { return c_info(region->region.info()); }
uint64_t memio_region_sequence(const memio_region* region) { return region->region.sequence(); }
int memio_region_fd(const memio_region* region) { return region->region.file_descriptor(); }

int memio_region_write(memio_region* region, const void* data, size_t length, uint64_t* sequence) {
  return guarded([&] { return give_number(region->region.write(bytes(data, length)), sequence); });
}
int memio_region_write_version(memio_region* region, const void* data, size_t length, uint64_t version,
                               uint64_t* sequence) {
  return guarded([&] { return give_number(region->region.write(bytes(data, length), version), sequence); });
}
int memio_region_begin(memio_region* region, size_t length, void** data) {
  return guarded([&] {
    auto span = region->region.begin(length);
    if (!span) return report(span.error());
    *data = span->data();
    return static_cast<int>(MEMIO_OK);
  });
}
int memio_region_commit(memio_region* region, uint64_t* sequence) {
  return guarded([&] { return give_number(region->region.commit(), sequence); });
}
int memio_region_commit_version(memio_region* region, uint64_t version, uint64_t* sequence) {
  return guarded([&] { return give_number(region->region.commit(version), sequence); });
}
void memio_region_abort(memio_region* region) { region->region.abort(); }
void memio_region_set_write_timeout(memio_region* region, int64_t timeout) {
  region->region.set_write_timeout(std::chrono::milliseconds(timeout));
}

int memio_region_prefault(memio_region* region) {
  return guarded([&] { return give_nothing(region->region.prefault()); });
}
int memio_region_shrink(memio_region* region, uint64_t* freed) {
  return guarded([&] { return give_number(region->region.shrink(), freed); });
}

int memio_region_read(memio_region* region, memio_snapshot** snapshot) {
  return guarded([&] { return give(region->region.read(), snapshot); });
}
int memio_region_read_since(memio_region* region, uint64_t last_seen, memio_snapshot** snapshot) {
  return guarded([&] {
    auto read = region->region.read(last_seen);
    if (!read) return report(read.error());
    *snapshot = *read ? new memio_snapshot{std::move(**read)} : nullptr;
    return static_cast<int>(MEMIO_OK);
  });
}
void memio_snapshot_free(memio_snapshot* snapshot) { delete snapshot; }
const void* memio_snapshot_data(const memio_snapshot* snapshot) { return snapshot->snapshot.data().data(); }
size_t memio_snapshot_length(const memio_snapshot* snapshot) { return snapshot->snapshot.data().size(); }
uint64_t memio_snapshot_version(const memio_snapshot* snapshot) { return snapshot->snapshot.version(); }
uint64_t memio_snapshot_sequence(const memio_snapshot* snapshot) { return snapshot->snapshot.sequence(); }

int memio_region_read_into(memio_region* region, void* to, size_t capacity, size_t* length, uint64_t* version,
                           uint64_t* sequence) {
  return guarded([&] {
    auto snapshot = region->region.read();
    if (!snapshot) return report(snapshot.error());
    const auto data = snapshot->data();
    *length = data.size();
    if (version) *version = snapshot->version();
    if (sequence) *sequence = snapshot->sequence();
    if (data.size() > capacity)
      return report(Error{Errc::payload_too_large, 0, "the payload does not fit into the buffer"});
    std::copy(data.begin(), data.end(), static_cast<std::byte*>(to));
    return static_cast<int>(MEMIO_OK);
  });
}

int memio_region_wait(memio_region* region, uint64_t last_seen, int64_t timeout, uint64_t* sequence) {
  return guarded(
      [&] { return give_number(region->region.wait(last_seen, std::chrono::milliseconds(timeout)), sequence); });
}
int memio_subscribe(memio_region* region, uint64_t token, uint64_t last_seen) {
  return guarded([&] { return give_nothing(region->region.subscribe({token}, last_seen)); });
}
void memio_unsubscribe(memio_region* region) { region->region.unsubscribe(); }

int memio_watch(memio_client* client, const char* pattern, int versions, uint64_t token, memio_watcher** watcher) {
  return guarded([&] {
    auto result = client->client.watch(pattern ? pattern : "", versions != 0, {token});
    if (!result) return report(result.error());
    *watcher = new memio_watcher{std::move(*result), {}};
    return static_cast<int>(MEMIO_OK);
  });
}
int memio_watcher_next(memio_watcher* watcher, memio_watch_event* event) {
  return guarded([&] {
    auto next = watcher->watcher.next();
    if (!next) return report(next.error());
    if (!*next) return 0;
    watcher->last = std::move(**next);
    event->kind = static_cast<memio_watch_kind>(watcher->last.kind);
    event->region = watcher->last.region ? c_info(*watcher->last.region) : memio_region_info{};
    event->version = watcher->last.version.value_or(0);
    return 1;
  });
}
void memio_watcher_free(memio_watcher* watcher) { delete watcher; }

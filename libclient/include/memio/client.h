// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memio/api.h"
#include "memio/command.h"
#include "memio/region.h"
#include "memio/stream.h"
#include "memio/unique_fd.h"

namespace memio {

using protocol::EventKind;
using protocol::Grant;
using protocol::HandleState;
using protocol::MetricFamily;
using protocol::Right;
using RegionState = protocol::StatReply;
using SessionInfo = protocol::Session;

struct RegionOptions {
  std::uint64_t capacity = 0;  // payload bytes a slot can hold; costs nothing until it is touched
  unsigned slots = 4;          // 1: classic; 2 to 64: snapshot
  Layout layout = Layout::memio64;
  Lifetime lifetime = Lifetime::session;
  // Nobody but the creator can ever write it, by any road: sealed with F_SEAL_FUTURE_WRITE once it is mapped.
  bool exclusive = false;
  // Everybody maps it with huge pages where the system gives them: at the first touch where
  // /sys/kernel/mm/transparent_hugepage/shmem_enabled allows that, and in any case (from Linux 6.1 on) by
  // Region::prefault(). Slots then begin at multiples of 2 MiB and take up whole ones. Pays for payloads of many MiB
  // (bench/README.md).
  bool huge_pages = false;
  // memiod gives the memory of stale slots back (Region::shrink) when nothing has been published for so long. Not for
  // exclusive regions, nor for those of fewer than 3 slots.
  std::optional<std::chrono::milliseconds> shrink_after;
};

// What Client::dispatch reports. `token` is what the caller gave when it subscribed or began to watch.
struct Event {
  enum class Kind : std::uint8_t {
    region_changed,   // a subscribed region was published; read it
    watch_ready,      // Watcher::next has something
    disconnected,     // memiod is gone; `token` is 0. Mapped regions go on working
    reconnected,      // memiod is back, and so are our handles; `token` is 0
    stream_readable,  // StreamReader::next has something, or the stream has ended
    stream_writable,  // StreamWriter::begin has room, or the stream has ended
    call_arrived,     // CommandHandler::next has something
    call_cancelled,   // of the calls that a handler took some are cancelled
    message_arrived,  // Listener::next has something
  };
  Token token;
  Kind kind = Kind::region_changed;
};

// What a Watcher tells of one region.
struct WatchEvent {
  EventKind kind = EventKind::present;
  std::optional<RegionInfo> region;      // absent for `ready`
  std::optional<std::uint64_t> version;  // with EventKind::version
};

// Tells of regions being created, removed and published, without opening them. Ends with its last object.
// Used from the thread of its Client.
class MEMIO_API Watcher {
 public:
  Watcher(Watcher&&) noexcept;
  Watcher& operator=(Watcher&&) noexcept;
  ~Watcher();

  // The next event, if one is there. Error: disconnected, once all that came before has been taken.
  Result<std::optional<WatchEvent>> next();
  // The next event, waiting for it; at most `timeout` if it is not negative. Errors: timed_out, disconnected.
  Result<WatchEvent> wait(std::chrono::milliseconds timeout);

  class Impl;

 private:
  friend class detail::ClientCore;
  friend class Client;
  explicit Watcher(std::shared_ptr<Impl> impl) noexcept;
  std::shared_ptr<Impl> impl_;
};

// A connection to memiod and all that was opened through it.
//
// One pollable descriptor, get_fd(), stands for everything: replies, doorbells, watches. Put it into any event loop,
// for reading, level-triggered, and call dispatch() when it is readable. The library has no threads and calls nothing
// back except from dispatch(), and there only what the caller handed to an `..._async` function.
//
// When memiod goes away, regions stay mapped and go on being published, read and waited for. dispatch() keeps looking
// for memiod at the path it was connected to, and when it is back claims the handles again, with their cells, and
// starts the watches anew (`present` and `ready` come again). Calls that were under way fail with `disconnected`. A
// client that adopted its socket has no path: it stays disconnected until its owner gives it a new one with renew().
//
// Not thread-safe: a Client, its Regions and its Watchers belong to one thread at a time.
class MEMIO_API Client {
 public:
  // Where memiod listens: $MEMIO_SOCKET, else $XDG_RUNTIME_DIR/memio/io.memio. Error: system, if they do not say.
  static Result<std::string> default_socket_path();

  // Connects. An empty path means default_socket_path(). Error: system, saying which socket and what to do.
  static Result<Client> connect(std::string_view socket_path = {});
  // Uses a socket that is connected already, such as one that open_connection() gave.
  // `renewable`: the caller will renew() it when it is lost, so watchers wait for that instead of ending.
  static Result<Client> adopt(UniqueFd socket, bool renewable = false);
  // Goes on with another connected socket in the place of an adopted one that was lost: handles are claimed again,
  // watches begin anew, dispatch() tells `reconnected`. Errors: misuse, if the present one is not lost; system.
  Result<void> renew(UniqueFd socket);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Each waits for memiod's answer. The errors are memiod's (proto/PROTOCOL.md), or disconnected, system.
  Result<Region> create(std::string_view name, const RegionOptions& options);
  Result<Region> open(std::string_view name, Access access);
  Result<std::vector<RegionInfo>> list(std::string_view pattern = {});
  Result<RegionState> stat(std::string_view name);
  Result<void> remove(std::string_view name);

  // What memiod tells its owner alone: the connections that there are, and what can be measured, as values or as
  // OpenMetrics text.
  Result<std::vector<SessionInfo>> list_sessions();
  Result<std::vector<MetricFamily>> metrics();
  Result<std::string> open_metrics();

  // The same without waiting: `done` is called from dispatch() when the answer is there, or with `disconnected`. Never
  // called from within the function itself.
  template <class T>
  using Done = std::function<void(Result<T>)>;
  void create_async(std::string_view name, const RegionOptions& options, Done<Region> done);
  void open_async(std::string_view name, Access access, Done<Region> done);
  void list_async(std::string_view pattern, Done<std::vector<RegionInfo>> done);
  void stat_async(std::string_view name, Done<RegionState> done);
  void remove_async(std::string_view name, Done<void> done);

  // Watches regions that match `pattern` (empty: all): first a `present` each, then `ready`, then what happens.
  // `version` events come only if `versions` is set.
  Result<Watcher> watch(std::string_view pattern, bool versions, Token token = {});

  // The same without waiting; errors of the watch itself are told by Watcher::next.
  void watch_async(std::string_view pattern, bool versions, Token token, Done<Watcher> done);

  // Calls a command (memio/command.h) and waits for the answer, however long that takes if there is no timeout: a
  // client that handles a command itself must not wait for it. `arguments` is JSON. Errors: no_such_command,
  // command_failed (Error::rejection says what the handler said), handler_gone, call_timed_out, limit_exceeded,
  // disconnected; invalid_parameter if the text is no JSON, or more than 30 deep; message_too_large if it is longer
  // than memiod reads (1 MiB; messageBytes in memiod.conf); misuse of an attachment; what is wrong with a region that
  // came with the answer, such as corrupt.
  Result<CallAnswer> call(std::string_view name, std::string_view arguments = "null", CallOptions options = {});
  // The same without waiting, as many at a time as one likes; also call_cancelled.
  PendingCall call_async(std::string_view name, std::string_view arguments, CallOptions options, Done<CallAnswer> done);
  // Handles a command from now on. Errors: command_exists, invalid_name, permission_denied, limit_exceeded.
  Result<CommandHandler> handle(std::string_view name, Token token = {});
  void handle_async(std::string_view name, Token token, Done<CommandHandler> done);

  // Sends a message to all who listen to the topic; nobody's slowness delays it. `payload` is JSON. Waits only until
  // memiod has it. Errors: invalid_name, permission_denied, disconnected; invalid_parameter, message_too_large and
  // limit_exceeded as for call().
  Result<void> emit(std::string_view topic, std::string_view payload = "null");
  void emit_async(std::string_view topic, std::string_view payload, Done<void> done = {});
  // Listens to the topics that match a pattern from now on. Errors: invalid_pattern, limit_exceeded.
  Result<Listener> listen(std::string_view pattern, Token token = {});
  void listen_async(std::string_view pattern, Token token, Done<Listener> done);

  // Streams (memio/stream.h). One side creates it, the other opens it. The errors are those of create() and open(), and
  // invalid_slots and invalid_capacity for options that cannot be. open_...: busy if somebody else is that side of the
  // stream, or if it is being made at this moment; corrupt.
  Result<StreamWriter> create_stream_writer(std::string_view name, const StreamOptions& options = {});
  Result<StreamReader> create_stream_reader(std::string_view name, const StreamOptions& options = {});
  Result<StreamWriter> open_stream_writer(std::string_view name);
  Result<StreamReader> open_stream_reader(std::string_view name);

  // A new connection as a connected socket, for another process or thread: with the rights of this one, narrowed to
  // `grants` if given.
  Result<UniqueFd> open_connection(std::optional<std::vector<Grant>> grants = std::nullopt);

  // Readable when dispatch() has something to do. Borrowed; stays the same as long as the Client lives.
  [[nodiscard]] int get_fd() const noexcept;

  // Handles what has come and writes up to events.size() events; returns how many. Does not block. If it fills `events`
  // there may be more: call it again, or let the loop do so (get_fd() stays readable). In between, the caller counts as
  // asleep: publishes ring. Allocates nothing for doorbells.
  std::size_t dispatch(std::span<Event> events);

  // dispatch() after waiting for something to do; at most `timeout` if it is not negative. 0 events if the time ran
  // out.
  Result<std::size_t> wait(std::span<Event> events, std::chrono::milliseconds timeout);

  [[nodiscard]] bool connected() const noexcept;

 private:
  explicit Client(std::shared_ptr<detail::ClientCore> core) noexcept;
  std::shared_ptr<detail::ClientCore> core_;
};

}  // namespace memio

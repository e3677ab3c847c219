// SPDX-License-Identifier: MIT
#pragma once

// Commands and messages: small things that programs and pages ask and tell each other through memiod.
//
// A command has a name and one handler; others call it, and the handler answers or rejects each call. A message is
// emitted under a topic and goes to all who listen. Values are JSON, as text: this library neither needs nor offers a
// JSON library. Whatever is not small goes beside it, as an Attachment, and the value says where it belongs:
// {"$region": i}, {"$bytes": i} and {"$descriptor": i} stand for attachment i, counted from 0.
//
// A Client receives on a connection of its own, which it makes when it first needs it. What comes waits until
// Client::dispatch() has told of it and somebody takes it; nothing is called back but what an `..._async` function was
// given. After memiod was away commands are handled and topics listened to again; calls that were under way have
// failed.
//
// Client's functions for all this are in memio/client.h. Everything belongs to the thread of its Client.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memio/api.h"
#include "memio/region.h"
#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio {

namespace detail {
class Mail;
struct IncomingCall;
}  // namespace detail

// Something that goes beside the JSON of a call or an answer: an open region, or a file descriptor, which may stand for
// bytes. What came may be passed on as it is.
class MEMIO_API Attachment {
 public:
  // A copy of these bytes, in a memory file that nobody can change any more. Error: system.
  static Result<Attachment> of_bytes(std::span<const std::byte> bytes);
  // The region: whoever gets it has it open too, whatever else it may do; for writing if it was opened here for
  // writing and is not exclusive. Error: system.
  static Result<Attachment> of_region(const Region& region);
  // Any descriptor but a socket, which memiod does not take.
  static Attachment of_descriptor(UniqueFd fd);

  Attachment(Attachment&&) noexcept;
  Attachment& operator=(Attachment&&) noexcept;
  ~Attachment();

  // Whether a region came that is open and not taken yet.
  [[nodiscard]] bool is_region() const noexcept;
  // The region, which is the caller's from now on. Error: misuse if it is none, or was taken.
  Result<Region> take_region();
  // The bytes, in the memory in which they came: nobody can change them, which is checked. They last as long as this
  // object. Errors: corrupt if they are not sealed; misuse if it is a region; system.
  Result<std::span<const std::byte>> bytes();
  // The descriptor, which is the caller's from now on. Error: misuse if it is a region, or was taken.
  Result<UniqueFd> take_descriptor();

 private:
  friend class detail::Mail;
  struct Impl;
  explicit Attachment(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

struct CallOptions {
  // memiod ends the call when that is over. Negative: it waits for as long as there is a handler.
  std::chrono::milliseconds timeout{-1};
  // At most 16 descriptors, of which a region takes three, and 5 regions.
  std::vector<Attachment> attachments{};
};

// What the handler answered.
struct CallAnswer {
  std::string result;  // JSON
  std::vector<Attachment> attachments;
};

// A call that was begun by Client::call_async(). Lets its caller give it up; the call goes on without this object.
class MEMIO_API PendingCall {
 public:
  // `done` is called with call_cancelled, unless there is an answer already. The handler is told.
  void cancel();

 private:
  friend class Client;
  PendingCall(std::weak_ptr<detail::ClientCore> core, std::uint64_t id) noexcept : core_(std::move(core)), id_(id) {}
  std::weak_ptr<detail::ClientCore> core_;
  std::uint64_t id_;
};

// A call that came, to be answered once, at any time. One that is dropped without an answer is rejected as
// "Unanswered". One that brings a region that cannot be opened here is rejected with the reason, and no handler sees
// it.
class MEMIO_API CommandCall {
 public:
  CommandCall(CommandCall&&) noexcept;
  CommandCall& operator=(CommandCall&&) noexcept;
  ~CommandCall();

  // Of the command.
  [[nodiscard]] const std::string& name() const noexcept;
  // JSON; `null` if the caller gave none.
  [[nodiscard]] const std::string& arguments() const noexcept;
  [[nodiscard]] std::vector<Attachment>& attachments() noexcept;
  // Tells calls apart, among those of one client.
  [[nodiscard]] std::uint64_t id() const noexcept;
  // Whether nobody waits for the answer any more: the caller has gone, or gave up, or its time is over, or memiod was
  // away. Client::dispatch() tells of it (call_cancelled). An answer is then dropped.
  [[nodiscard]] bool cancelled() const noexcept;

  // Errors: misuse if it is answered already; disconnected. As for Client::call(): invalid_parameter,
  // message_too_large, limit_exceeded; after these it is not answered yet, and can be in another way.
  Result<void> answer(std::string_view result = "null", std::vector<Attachment> attachments = {});
  // The caller gets command_failed, with this name and these details (JSON; empty: none) in Error::rejection. Errors:
  // those of answer().
  Result<void> reject(std::string_view error, std::string_view message, std::string_view details = {});

 private:
  friend class CommandHandler;
  explicit CommandCall(std::shared_ptr<detail::IncomingCall> call) noexcept;
  std::shared_ptr<detail::IncomingCall> call_;
};

// Handles a command as long as it lives. Calls that wait when it ends are rejected as unanswered.
class MEMIO_API CommandHandler {
 public:
  CommandHandler(CommandHandler&&) noexcept;
  CommandHandler& operator=(CommandHandler&&) noexcept;
  ~CommandHandler();

  // The next call, if one is there. Error: why the command is not handled any more: disconnected, if memiod is gone for
  // good; command_exists, if another took it while memiod was away.
  Result<std::optional<CommandCall>> next();
  // The next call, waiting for it; at most `timeout` if it is not negative. Errors: timed_out, and those of next().
  Result<CommandCall> wait(std::chrono::milliseconds timeout);

  class Impl;

 private:
  friend class Client;
  friend class detail::Mail;
  explicit CommandHandler(std::shared_ptr<Impl> impl) noexcept;
  Result<std::optional<CommandCall>> take();
  std::shared_ptr<Impl> impl_;
};

struct Message {
  std::string topic;
  std::string payload;     // JSON
  std::uint64_t lost = 0;  // messages to this listener that were dropped before this one. If the client has other
                           // listeners, those that were lost on the way to it, whoever of them they were for, count too
};

// Listens to topics as long as it lives. While nobody takes them 256 messages wait, and 256 KiB of them, and as many in
// memiod if nobody calls dispatch(); then the oldest are dropped.
class MEMIO_API Listener {
 public:
  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;
  ~Listener();

  // The next message, if one is there. Error: disconnected, if memiod is gone for good.
  Result<std::optional<Message>> next();
  // The next message, waiting for it; at most `timeout` if it is not negative. Errors: timed_out, disconnected.
  Result<Message> wait(std::chrono::milliseconds timeout);

  class Impl;

 private:
  friend class Client;
  friend class detail::Mail;
  explicit Listener(std::shared_ptr<Impl> impl) noexcept;
  Result<std::optional<Message>> take();
  std::shared_ptr<Impl> impl_;
};

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

// The connection on which a client receives: calls of the commands that it handles, messages, and the answers to what
// it asks for there.
//
// It is opened, from the client's own, when something is first to be said on it, and again when memiod was away and
// there is something to handle or to listen to. What is said before it is open waits in `outgoing_`, so nothing here
// waits; blocking functions call step() until they have what they wait for. When it is lost, whatever was asked has
// failed, and calls that came are cancelled.
//
// What somebody else sent and what memiod would not take never costs the connection, because all of the client's mail
// goes over it: the first ends the one call that it belongs to, the second is refused before it is sent.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "deadline.h"
#include "memio/channel.h"
#include "memio/client.h"
#include "memio/command.h"
#include "memio/message.h"
#include "memio/protocol_json.h"

namespace memio {

namespace detail {

// Something in the client's epoll that has been told of by a delivery, and what dispatch() has to say of it.
struct MailSource {
  MailSource(Token name, Event::Kind kind) : token(name), arrived_kind(kind) {}
  virtual ~MailSource() = default;
  MailSource(const MailSource&) = delete;
  MailSource& operator=(const MailSource&) = delete;
  // Whether there is something to be taken.
  [[nodiscard]] virtual bool has_something() const noexcept = 0;

  Token token;
  Event::Kind arrived_kind;
  std::size_t source = 0;  // its place in the core
  bool registered = false;
  bool arrived = false;    // dispatch() is to tell of it, if it is still there then
  bool cancelled = false;  // the same, of calls that were cancelled
  // Whether memiod has been asked for it on this connection. `now`: what is on the way to that may still find that the
  // connection is lost, and make another.
  enum class Asked : std::uint8_t { no, now, yes } asked = Asked::no;
};

struct IncomingCall {
  std::weak_ptr<ClientCore> core;
  std::uint64_t number = 0;  // memiod's
  std::string name;
  std::string arguments;
  std::vector<Attachment> attachments;
  bool cancelled = false;
  bool answered = false;
  std::string refused{};  // why the last answer could not be sent
};

class Mail {
 public:
  struct Delivered {
    std::string value;
    std::vector<Attachment> attachments;
  };
  using OnAnswer = std::function<void(Result<Delivered>)>;
  enum class When : std::uint8_t { at_once, in_dispatch };  // the answer is handed out

  explicit Mail(ClientCore& core) : core_(core) {}
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  // Asks under a fresh id, which it returns. `standing`: what is asked for, if that lasts and is asked for again after
  // memiod was away.
  template <class Parameters>
  std::uint64_t ask(std::string_view method, Parameters parameters, std::vector<UniqueFd> fds, OnAnswer on_answer,
                    When when, MailSource* standing = nullptr) {
    const auto id = ++last_id_;
    parameters.id = id;
    ask(id, method, protocol::to_text(parameters), std::move(fds), {std::move(on_answer), when}, standing);
    return id;
  }
  // Says something that has no answer. Nobody hears of it if it cannot be said.
  void tell(std::string_view method, JsonText parameters);
  // The same, of something that has ended with the connection if there is none.
  void tell_if_open(std::string_view method, JsonText parameters) noexcept;
  // Answers a call that came. Errors: those of check_room(); it is still to be answered then.
  Result<void> answer_call(const protocol::AnswerParameters& parameters, std::vector<UniqueFd> fds);
  // Rejects a call that came and that nobody answers, so that its caller does not wait.
  void refuse_call(std::uint64_t number, std::string_view error, std::string message) noexcept;
  void cancel(std::uint64_t id);

  // A handler, or a listener, is there from now on, and is again after memiod was away. `on_answer` says how it went;
  // after an error it is not there.
  void add(const std::shared_ptr<CommandHandler::Impl>& handler, OnAnswer on_answer, When when);
  void add(const std::shared_ptr<Listener::Impl>& listener, OnAnswer on_answer, When when);
  void remove(CommandHandler::Impl& handler) noexcept;
  void remove(Listener::Impl& listener) noexcept;

  // Writes as far as it goes without blocking and reads once, if asked for after waiting for something to read.
  enum class Wait : bool { no, yes };
  void pump(Wait wait = Wait::no) noexcept;
  // Waits until pump() may find something, and calls it. Error: system.
  Result<void> step(const Deadline& deadline);
  // The client's own connection has been made anew.
  void on_reconnected();
  struct Opened {
    UniqueFd socket;
    std::uint64_t message_bytes = 0;  // the longest message that memiod reads there
  };
  // There is a connection to receive on, or there is none to be had.
  void opened(Result<Opened> connection) noexcept;
  // It is lost, and memiod is to have it back: if memiod only is gone, until it is back, otherwise for good.
  void lose(const Error& reason) noexcept;
  // Nobody will hand answers out any more.
  void forget_requests() noexcept { requests_.clear(); }

  // Descriptors of attachments, to be sent. Errors: limit_exceeded if there are too many; misuse if one was taken.
  static Result<std::vector<UniqueFd>> fds_of(std::vector<Attachment> attachments);

 private:
  struct Request {
    OnAnswer on_answer;
    When when = When::at_once;
  };
  struct Outgoing {
    std::uint64_t id = 0;  // of the request; 0 if nobody waits for an answer
    std::string text;
    std::vector<UniqueFd> fds;
  };

  void ask(std::uint64_t id, std::string_view method, JsonText parameters, std::vector<UniqueFd> fds, Request request,
           MailSource* standing);
  [[nodiscard]] bool has_inhabitants() const noexcept { return !handlers_.empty() || !listeners_.empty(); }
  void open();
  // Handles and listens to everything again that is not being asked for already.
  void resume();
  void begin(Opened connection);
  // Whether memiod takes this message, on the connection that is open. Errors: message_too_large; limit_exceeded if
  // memiod has too much to read already.
  [[nodiscard]] Result<void> check_room(const std::string& text) const;
  void say(std::string text, std::vector<UniqueFd> fds, std::uint64_t id = 0);
  void update_interest() noexcept;
  void answer(Request request, Result<Delivered> result);
  void ask_to_handle(const std::shared_ptr<CommandHandler::Impl>& handler, OnAnswer on_answer, When when);
  void ask_to_listen(const std::shared_ptr<Listener::Impl>& listener, OnAnswer on_answer, When when);
  Result<void> take(Frame frame);
  void take_call(protocol::ReceiveReply& reply, Result<std::vector<Attachment>> attachments);
  void take_cancel(std::uint64_t number);
  void take_answer(protocol::ReceiveReply& reply, Result<std::vector<Attachment>> attachments);
  void take_message(protocol::ReceiveReply& reply);
  // All of them, or none. Errors: protocol_violation if it is memiod that is wrong; otherwise they cannot be used here.
  Result<std::vector<Attachment>> open_attachments(const protocol::ReceiveReply& reply, std::vector<UniqueFd> fds,
                                                   bool fds_lost);
  Result<Attachment> close_attachment(const protocol::Attachment& attached);
  Result<Attachment> open_attachment(const protocol::Attachment& attached, std::vector<UniqueFd>& fds);
  void make_ready(MailSource& source) noexcept;

  ClientCore& core_;
  enum class State : std::uint8_t { closed, opening, open } state_ = State::closed;
  std::optional<Channel> channel_;  // while it is open
  std::uint64_t opened_ = 0;        // so many times by now
  std::uint64_t message_bytes_ = 0;
  bool wants_write_ = false;
  std::deque<Outgoing> outgoing_;  // until it is open
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Request> requests_;
  std::unordered_map<std::uint64_t, std::weak_ptr<IncomingCall>> calls_;  // by memiod's number
  std::unordered_map<std::string, CommandHandler::Impl*> handlers_;
  std::vector<Listener::Impl*> listeners_;
};

}  // namespace detail

class CommandHandler::Impl : public std::enable_shared_from_this<Impl>, public detail::MailSource {
 public:
  Impl(std::shared_ptr<detail::ClientCore> owner, Token name, std::string of)
      : MailSource(name, Event::Kind::call_arrived), core(std::move(owner)), command(std::move(of)) {}
  ~Impl() override;
  [[nodiscard]] bool has_something() const noexcept override { return !calls.empty() || ended; }

  std::shared_ptr<detail::ClientCore> core;
  std::string command;
  std::deque<std::shared_ptr<detail::IncomingCall>> calls;
  std::optional<Error> ended;
};

class Listener::Impl : public std::enable_shared_from_this<Impl>, public detail::MailSource {
 public:
  Impl(std::shared_ptr<detail::ClientCore> owner, Token name, std::string names)
      : MailSource(name, Event::Kind::message_arrived), core(std::move(owner)), pattern(std::move(names)) {}
  ~Impl() override;
  [[nodiscard]] bool has_something() const noexcept override { return !messages.empty() || ended; }

  // Drops the oldest if there are too many.
  void push(Message message);

  std::shared_ptr<detail::ClientCore> core;
  std::string pattern;
  std::deque<Message> messages;
  std::size_t bytes = 0;   // of these
  std::uint64_t lost = 0;  // to be told with the next
  std::optional<Error> ended;
};

}  // namespace memio

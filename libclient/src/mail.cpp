// SPDX-License-Identifier: MIT
#include "mail.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "attachment.h"
#include "client_core.h"
#include "connect.h"
#include "memio/region_name.h"

namespace memio {

namespace detail {

namespace {

std::string text_of(std::string_view method, JsonText parameters, bool more = false) {
  return encode(WrittenCall{method, std::move(parameters), more, !more});
}

tl::unexpected<Error> wrong(const std::string& what) {
  return fail(Errc::protocol_violation, "memiod sent a delivery with " + what);
}

// That memiod takes with a message.
constexpr std::size_t most_fds = Channel::Limits{}.fds;

}  // namespace

// --- saying ---

void Mail::ask(std::uint64_t id, std::string_view method, JsonText parameters, std::vector<UniqueFd> fds,
               Request request, MailSource* standing) {
  auto text = text_of(method, std::move(parameters));
  if (standing) standing->asked = MailSource::Asked::now;
  const auto keep = [&] {
    requests_.emplace(id, std::move(request));
    if (standing) standing->asked = MailSource::Asked::yes;
  };
  // Descriptors are given away once, so with them it is noticed before whether memiod has gone.
  if (state_ == State::open && !fds.empty()) pump();
  if (state_ == State::open)
    if (auto room = check_room(text); !room) return answer(std::move(request), fail(std::move(room.error())));
  if (state_ == State::open && fds.empty()) {
    auto sent = channel_->send(text);
    if (sent) sent = channel_->flush();
    if (sent) {
      keep();
      return update_interest();
    }
    // memiod had gone before, and has not had all of it: it is asked on another connection.
    lose(sent.error());
  }
  if (state_ == State::closed) core_.look_for_memiod();
  keep();
  say(std::move(text), std::move(fds), id);
}

void Mail::tell(std::string_view method, JsonText parameters) {
  auto text = text_of(method, std::move(parameters));
  if (state_ != State::open || check_room(text)) say(std::move(text), {});
}

void Mail::tell_if_open(std::string_view method, JsonText parameters) noexcept {
  if (state_ == State::closed) return;
  try {
    say(text_of(method, std::move(parameters)), {});
  } catch (const std::exception& error) {
    lose(Error{Errc::disconnected, 0, error.what()});
  }
}

void Mail::cancel(std::uint64_t id) {
  if (requests_.contains(id)) tell_if_open(protocol::cancel_method, protocol::to_text(protocol::CancelParameters{id}));
}

Result<void> Mail::answer_call(const protocol::AnswerParameters& parameters, std::vector<UniqueFd> fds) {
  if (state_ != State::open) return {};  // the call has ended with the connection
  auto text = text_of(protocol::answer_method, protocol::to_text(parameters));
  if (auto room = check_room(text); !room) return room;
  calls_.erase(parameters.id);
  say(std::move(text), std::move(fds));
  return {};
}

void Mail::refuse_call(std::uint64_t number, std::string_view error, std::string message) noexcept {
  constexpr std::size_t longest = 500;  // it may have a text of others in it, and always fits
  if (message.size() > longest) message.resize(longest);
  tell_if_open(protocol::answer_method, protocol::to_text(protocol::AnswerParameters{
                                            .id = number, .error = std::string(error), .message = std::move(message)}));
  calls_.erase(number);
}

Result<void> Mail::check_room(const std::string& text) const {
  if (text.size() > message_bytes_)
    return fail(Errc::message_too_large, "the message has " + std::to_string(text.size()) +
                                             " bytes, and memiod reads at most " + std::to_string(message_bytes_) +
                                             " (limits.messageBytes in memiod.conf); send large values as attachments");
  if (channel_->queued_bytes() + text.size() >= client_limits.queued)
    return fail(Errc::limit_exceeded, "memiod has not read what it was sent before, and more than " +
                                          std::to_string(client_limits.queued) + " bytes would wait for it");
  return {};
}

void Mail::say(std::string text, std::vector<UniqueFd> fds, std::uint64_t id) {
  if (state_ == State::closed) open();
  if (state_ != State::open) {
    if (state_ == State::opening) outgoing_.push_back({id, std::move(text), std::move(fds)});
    return;
  }
  // Whoever may not be refused comes back with another connection.
  if (auto sent = channel_->send(std::move(text), std::move(fds)); !sent)
    return lose(Error{Errc::disconnected, 0, std::move(sent.error().message)});
  if (auto flushed = channel_->flush(); !flushed) return lose(flushed.error());
  update_interest();
}

void Mail::open() {
  state_ = State::opening;
  core_.open_mail();
}

void Mail::begin(Opened connection) {
  if (auto made = make_blocking(connection.socket.get()); !made) return lose(made.error());
  channel_.emplace(std::move(connection.socket), client_limits);
  ++opened_;
  message_bytes_ = connection.message_bytes;
  wants_write_ = false;
  state_ = State::open;
  if (auto added = core_.poll_mail(channel_->fd(), EPOLLIN); !added) return lose(added.error());
  say(text_of(protocol::receive_method, protocol::to_text(protocol::ReceiveParameters{}), true), {});
  for (auto& [id, text, fds] : std::exchange(outgoing_, {})) {
    if (state_ != State::open) return;
    if (auto room = check_room(text); room)
      say(std::move(text), std::move(fds));
    else if (auto refused = requests_.extract(id))
      answer(std::move(refused.mapped()), fail(std::move(room.error())));
  }
}

void Mail::opened(Result<Opened> connection) noexcept {
  if (state_ != State::opening) return;
  try {
    if (!connection) return lose(connection.error());
    begin(std::move(*connection));
  } catch (const std::exception& error) {
    lose(Error{Errc::disconnected, 0, error.what()});
  }
}

void Mail::update_interest() noexcept {
  if (state_ != State::open || channel_->wants_write() == wants_write_) return;
  wants_write_ = !wants_write_;
  core_.repoll_mail(channel_->fd(), wants_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

Result<std::vector<UniqueFd>> Mail::fds_of(std::vector<Attachment> attachments) {
  if (attachments.size() > most_fds)
    return fail(Errc::limit_exceeded, "at most " + std::to_string(most_fds) + " attachments go with one value, not " +
                                          std::to_string(attachments.size()));
  std::vector<UniqueFd> fds;
  for (auto& attachment : attachments) {
    auto& impl = *attachment.impl_;
    if (impl.region) {
      impl.fd = UniqueFd(::fcntl(impl.region->file_descriptor(), F_DUPFD_CLOEXEC, 0));
      if (!impl.fd.valid()) return fail_errno(errno, "attaching a region");
    }
    if (!impl.fd.valid())
      return fail(Errc::misuse, "an attachment was taken, or is attached to something else already");
    fds.push_back(std::move(impl.fd));
  }
  return fds;
}

// --- who handles and listens ---

void Mail::add(const std::shared_ptr<CommandHandler::Impl>& handler, OnAnswer on_answer, When when) {
  if (!handlers_.emplace(handler->command, handler.get()).second)
    return answer({std::move(on_answer), when},
                  fail(Errc::command_exists, "this client handles the command " + handler->command + " already"));
  core_.add_mail_source(*handler);
  ask_to_handle(handler, std::move(on_answer), when);
}

void Mail::ask_to_handle(const std::shared_ptr<CommandHandler::Impl>& handler, OnAnswer on_answer, When when) {
  ask(protocol::handle_method, protocol::HandleParameters{.name = handler->command}, {}, std::move(on_answer), when,
      handler.get());
}

void Mail::add(const std::shared_ptr<Listener::Impl>& listener, OnAnswer on_answer, When when) {
  listeners_.push_back(listener.get());
  core_.add_mail_source(*listener);
  ask_to_listen(listener, std::move(on_answer), when);
}

void Mail::ask_to_listen(const std::shared_ptr<Listener::Impl>& listener, OnAnswer on_answer, When when) {
  ask(protocol::listen_method, protocol::ListenParameters{.pattern = listener->pattern}, {}, std::move(on_answer), when,
      listener.get());
}

void Mail::remove(CommandHandler::Impl& handler) noexcept {
  const auto found = handlers_.find(handler.command);
  if (found == handlers_.end() || found->second != &handler) return;
  handlers_.erase(found);
  core_.remove_mail_source(handler);
  if (handler.ended) return;
  tell_if_open(protocol::unhandle_method, protocol::to_text(protocol::UnhandleParameters{.name = handler.command}));
}

void Mail::remove(Listener::Impl& listener) noexcept {
  if (std::erase(listeners_, &listener) == 0) return;
  core_.remove_mail_source(listener);
  if (listener.ended) return;
  tell_if_open(protocol::unlisten_method, protocol::to_text(protocol::UnlistenParameters{.pattern = listener.pattern}));
}

void Mail::on_reconnected() {
  if (state_ == State::closed) resume();
}

void Mail::resume() {
  if (!has_inhabitants()) return;
  std::vector<std::shared_ptr<CommandHandler::Impl>> handlers;
  for (const auto& [name, handler] : handlers_) handlers.push_back(handler->shared_from_this());
  std::vector<std::shared_ptr<Listener::Impl>> listeners;
  for (auto* listener : listeners_) listeners.push_back(listener->shared_from_this());
  const auto end = [this](auto& one, const Error& error) {
    // If memiod is lost once more it is asked again, and so it is if the connection is to be made later.
    if (error.code == Errc::disconnected && (core_.connected() || core_.will_come_back())) return;
    if (error.code == Errc::out_of_resources && core_.mail_due()) return;
    one.ended = error;
    make_ready(one);
  };
  const auto is_due = [](const auto& one) { return !one.ended && one.asked == MailSource::Asked::no; };
  for (const auto& handler : handlers)
    if (is_due(*handler))
      ask_to_handle(
          handler,
          [end, weak = std::weak_ptr(handler)](const Result<Delivered>& result) {
            if (const auto one = weak.lock(); one && !result) end(*one, result.error());
          },
          When::at_once);
  for (const auto& listener : listeners)
    if (is_due(*listener))
      ask_to_listen(
          listener,
          [end, weak = std::weak_ptr(listener)](const Result<Delivered>& result) {
            if (const auto one = weak.lock(); one && !result) end(*one, result.error());
          },
          When::at_once);
}

void Mail::lose(const Error& reason) noexcept {
  if (state_ == State::closed) return;
  const bool was_open = state_ == State::open;
  if (was_open) core_.stop_polling(channel_->fd());
  state_ = State::closed;
  channel_.reset();  // or memiod would take the commands for handled
  wants_write_ = false;
  outgoing_.clear();
  if (was_open) core_.lose_mail_handles();
  const bool later = reason.code == Errc::out_of_resources && core_.connected() && core_.open_mail_later();
  const bool for_good =
      !later && (reason.code != Errc::disconnected || (!core_.connected() && !core_.will_come_back()));
  for (const auto& [number, weak] : std::exchange(calls_, {})) {
    const auto call = weak.lock();
    if (!call) continue;
    call->cancelled = true;
    if (const auto handler = handlers_.find(call->name); handler != handlers_.end()) handler->second->cancelled = true;
  }
  const auto forget_asked = [](MailSource& one) {
    if (one.asked == MailSource::Asked::yes) one.asked = MailSource::Asked::no;
  };
  for (const auto& [name, handler] : handlers_) {
    forget_asked(*handler);
    handler->calls.clear();
    if (for_good) handler->ended = reason;
    make_ready(*handler);
  }
  for (auto* listener : listeners_) {
    forget_asked(*listener);
    if (for_good) listener->ended = reason;
    make_ready(*listener);
  }
  for (auto& [id, request] : std::exchange(requests_, {})) answer(std::move(request), fail(reason));
  // Only this connection was lost, not the client's own: what is to come back comes back now.
  if (!for_good && !later && core_.connected()) resume();
}

// --- what comes ---

void Mail::answer(Request request, Result<Delivered> result) {
  if (!request.on_answer) return;
  if (request.when == When::at_once) return request.on_answer(std::move(result));
  core_.run_in_dispatch([on_answer = std::move(request.on_answer), kept = std::make_shared<Result<Delivered>>(std::move(
                                                                       result))] { on_answer(std::move(*kept)); });
}

void Mail::make_ready(MailSource& source) noexcept {
  source.arrived = true;
  core_.make_mail_ready(source);
}

void Mail::pump(Wait wait) noexcept {
  if (state_ != State::open) return;
  // What is taken may lose this connection, and even make another.
  const auto is_this = [this, which = opened_] { return state_ == State::open && opened_ == which; };
  try {
    auto flushed = channel_->flush();
    // Once: whoever waits for the socket is told if there is more.
    auto input = wait == Wait::yes ? channel_->wait_and_receive() : channel_->receive();
    if (!input) return lose(input.error());
    while (is_this() && channel_->has_next())
      if (auto taken = take(*channel_->next()); !taken) return lose(taken.error());
    if (!is_this()) return;
    if (*input == Channel::Input::end) return lose(Error{Errc::disconnected, 0, "memiod closed the connection"});
    if (!flushed) return lose(flushed.error());
  } catch (const std::exception& error) {
    return lose(Error{Errc::disconnected, 0, error.what()});
  }
  update_interest();
}

Result<void> Mail::step(const Deadline& deadline) {
  if (state_ != State::open) return core_.step(deadline);
  if (core_.expects_something() && !channel_->wants_write()) {
    auto stepped = core_.step(deadline, channel_->fd());
    pump();
    return stepped;
  }
  if (!deadline && !channel_->wants_write()) {
    pump(Wait::yes);
    return {};
  }
  pollfd wanted{channel_->fd(), static_cast<short>(channel_->wants_write() ? POLLIN | POLLOUT : POLLIN), 0};
  if (::poll(&wanted, 1, milliseconds_left(deadline)) < 0 && errno != EINTR)
    return fail_errno(errno, "waiting for memiod");
  pump();
  return {};
}

Result<void> Mail::take(Frame frame) {
  auto decoded = decode_reply(frame.text, Objects::passed_on);
  if (!decoded) return fail(std::move(decoded.error()));
  if (!decoded->error.empty()) return fail(to_error(*decoded));
  auto reply = protocol::parse_reply<protocol::ReceiveReply>(decoded->parameters);
  if (!reply) return fail(Errc::protocol_violation, "memiod sent a delivery with a wrong " + reply.error().message);
  auto attachments = open_attachments(*reply, std::move(frame.fds), frame.fds_lost);
  if (!attachments && attachments.error().code == Errc::protocol_violation) return fail(std::move(attachments.error()));
  switch (reply->kind) {
    case protocol::DeliveryKind::ready: break;
    case protocol::DeliveryKind::call: take_call(*reply, std::move(attachments)); break;
    case protocol::DeliveryKind::cancel: take_cancel(reply->id.value_or(0)); break;
    case protocol::DeliveryKind::answer: take_answer(*reply, std::move(attachments)); break;
    case protocol::DeliveryKind::message: take_message(*reply); break;
  }
  return {};
}

Result<std::vector<Attachment>> Mail::open_attachments(const protocol::ReceiveReply& reply, std::vector<UniqueFd> fds,
                                                       bool fds_lost) {
  std::vector<Attachment> attachments;
  if (!reply.attachments) return attachments;
  for (auto one = reply.attachments->begin(); one != reply.attachments->end(); ++one) {
    auto attachment = fds_lost ? close_attachment(*one) : open_attachment(*one, fds);
    if (attachment) {
      attachments.push_back(std::move(*attachment));
      continue;
    }
    // What is not opened any more is open in memiod.
    for (++one; one != reply.attachments->end(); ++one)
      if (one->handle) core_.close_handle(one->handle->id, ClientCore::Line::mail);
    return fail(std::move(attachment.error()));
  }
  return attachments;
}

Result<Attachment> Mail::close_attachment(const protocol::Attachment& attached) {
  if (attached.handle) core_.close_handle(attached.handle->id, ClientCore::Line::mail);
  return no_room_for_fds();
}

Result<Attachment> Mail::open_attachment(const protocol::Attachment& attached, std::vector<UniqueFd>& fds) {
  auto impl = std::make_unique<Attachment::Impl>();
  if (attached.region && attached.handle) {
    auto region = core_.make_region(*attached.region, *attached.handle, fds, false, ClientCore::Line::mail);
    if (!region) return fail(std::move(region.error()));
    impl->region.emplace(std::move(*region));
  } else {
    const auto place = attached.file_descriptor.value_or(fds.size());
    if (place >= fds.size() || !fds[place].valid()) return wrong("too few file descriptors");
    impl->fd = std::move(fds[place]);
  }
  return Attachment(std::move(impl));
}

void Mail::take_call(protocol::ReceiveReply& reply, Result<std::vector<Attachment>> attachments) {
  const auto number = reply.id.value_or(0);
  if (!attachments)
    return refuse_call(number, attachments.error().name(),
                       "the handler cannot use what came with the call: " + attachments.error().text());
  const auto found = handlers_.find(reply.name.value_or(""));
  auto call = std::make_shared<IncomingCall>();
  call->core = core_.weak_from_this();
  call->number = number;
  call->name = std::move(reply.name).value_or("");
  call->arguments = std::move(reply.value).value_or(JsonText{"null"}).text;
  call->attachments = std::move(*attachments);
  // It came while the handler went.
  if (found == handlers_.end() || found->second->ended)
    return refuse_call(number, "Unanswered", "nobody handles the command any more");
  calls_.emplace(number, call);
  found->second->calls.push_back(std::move(call));
  make_ready(*found->second);
}

void Mail::take_cancel(std::uint64_t number) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  const auto call = found->second.lock();
  calls_.erase(found);
  if (!call) return;
  call->cancelled = true;
  const auto handler = handlers_.find(call->name);
  if (handler == handlers_.end()) return;
  if (std::erase(handler->second->calls, call) > 0) return;  // nobody has seen it
  handler->second->cancelled = true;
  core_.make_mail_ready(*handler->second);
}

void Mail::take_answer(protocol::ReceiveReply& reply, Result<std::vector<Attachment>> attachments) {
  const auto found = requests_.find(reply.id.value_or(0));
  if (found == requests_.end()) return;
  Request request = std::move(found->second);
  requests_.erase(found);
  if (!attachments) {
    auto& message = attachments.error().message;
    message = "what came with the answer cannot be used: " + message;
    return answer(std::move(request), fail(std::move(attachments.error())));
  }
  if (!reply.error)
    return answer(std::move(request),
                  Delivered{std::move(reply.value).value_or(JsonText{"null"}).text, std::move(*attachments)});
  Error error{error_from_name(*reply.error), 0, std::move(reply.message).value_or("")};
  if (error.code == Errc::command_failed)
    error.rejection = std::make_shared<const Rejection>(
        Rejection{std::move(reply.rejection).value_or(""), reply.details ? reply.details->text : std::string()});
  answer(std::move(request), fail(std::move(error)));
}

void Mail::take_message(protocol::ReceiveReply& reply) {
  const auto topic = std::move(reply.name).value_or("");
  const auto payload = std::move(reply.value).value_or(JsonText{"null"}).text;
  for (auto* listener : listeners_) {
    listener->lost += reply.lost.value_or(0);
    if (!matches(listener->pattern, topic)) continue;
    listener->push({topic, payload});
    make_ready(*listener);
  }
}

}  // namespace detail

void Listener::Impl::push(Message message) {
  constexpr std::size_t most = 256;
  constexpr std::size_t most_bytes = std::size_t{256} << 10;
  const auto size_of = [](const Message& one) { return one.topic.size() + one.payload.size(); };
  bytes += size_of(message);
  message.lost = std::exchange(lost, 0);
  messages.push_back(std::move(message));
  while (messages.size() > 1 && (messages.size() > most || bytes > most_bytes)) {
    bytes -= size_of(messages.front());
    const auto gone = messages.front().lost + 1;
    messages.pop_front();
    messages.front().lost += gone;
  }
}

}  // namespace memio

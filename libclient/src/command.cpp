// SPDX-License-Identifier: MIT
// The public face of commands and messages: it makes what is said on the mail connection, and waits.
#include "memio/command.h"

#include "client_core.h"
#include "mail.h"
#include "memio/json_scanner.h"
#include "memio/strict_json.h"

namespace memio {

namespace {

using detail::ClientCore;
using detail::Mail;
using When = Mail::When;

// A value is inside a message's parameters.
constexpr unsigned depth_of_value = 2;

Result<JsonText> json_of(std::string_view text, const char* what) {
  JsonScanner scanner(text, depth_of_value);
  if (scanner.take_value() && scanner.at_end()) return JsonText{std::string(text)};
  if (is_json(text))
    return fail(Errc::invalid_parameter,
                std::string(what) + " are nested more than " + std::to_string(max_nesting - depth_of_value) + " deep");
  const auto parsed = parse_strictly(text);
  return fail(Errc::invalid_parameter, std::string(what) + " are to be JSON, but the text " +
                                           (parsed ? "begins with a byte order mark" : parsed.error().what));
}

std::vector<std::uint64_t> places(std::size_t count) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < count; ++i) all.push_back(i);
  return all;
}

struct Prepared {
  protocol::InvokeParameters parameters;
  std::vector<UniqueFd> fds;
};

Result<Prepared> prepare_call(std::string_view name, std::string_view arguments, CallOptions options) {
  auto json = json_of(arguments, "the arguments");
  if (!json) return fail(std::move(json.error()));
  auto fds = Mail::fds_of(std::move(options.attachments));
  if (!fds) return fail(std::move(fds.error()));
  protocol::InvokeParameters parameters{.name = std::string(name), .arguments = std::move(*json)};
  if (options.timeout.count() >= 0) parameters.timeout = static_cast<std::uint64_t>(options.timeout.count());
  if (!fds->empty()) parameters.file_descriptors = places(fds->size());
  return Prepared{std::move(parameters), std::move(*fds)};
}

Result<CallAnswer> to_answer(Result<Mail::Delivered> result) {
  if (!result) return fail(std::move(result.error()));
  return CallAnswer{std::move(result->value), std::move(result->attachments)};
}

Result<void> to_nothing(const Result<Mail::Delivered>& result) {
  if (!result) return fail(result.error());
  return {};
}

// Asks by `ask`, which is given what is to be called back, and waits for the answer.
template <class Ask>
Result<Mail::Delivered> ask_and_wait(ClientCore& core, Ask ask) {
  std::optional<Result<Mail::Delivered>> answer;
  Mail& mail = core.mail();
  ask(mail, [&answer](Result<Mail::Delivered> result) { answer.emplace(std::move(result)); });
  while (!answer)
    if (auto stepped = mail.step(std::nullopt); !stepped) mail.lose(std::move(stepped.error()));
  return std::move(*answer);
}

// Waits until `next` has something. `next` gives a Result of an optional.
template <class T, class Next>
Result<T> wait_for(ClientCore& core, std::chrono::milliseconds timeout, Next next) {
  const auto deadline = deadline_in(timeout);
  for (bool last = false;; last = is_past(deadline)) {
    auto taken = next();
    if (!taken) return fail(std::move(taken.error()));
    if (*taken) return std::move(**taken);
    if (last) return fail(Errc::timed_out);
    if (auto stepped = core.mail().step(deadline); !stepped) return fail(std::move(stepped.error()));
  }
}

}  // namespace

// --- Client ---

Result<CallAnswer> Client::call(std::string_view name, std::string_view arguments, CallOptions options) {
  auto prepared = prepare_call(name, arguments, std::move(options));
  if (!prepared) return fail(std::move(prepared.error()));
  return to_answer(ask_and_wait(*core_, [&](Mail& mail, Mail::OnAnswer on_answer) {
    mail.ask(protocol::invoke_method, std::move(prepared->parameters), std::move(prepared->fds), std::move(on_answer),
             When::at_once);
  }));
}

PendingCall Client::call_async(std::string_view name, std::string_view arguments, CallOptions options,
                               Done<CallAnswer> done) {
  auto prepared = prepare_call(name, arguments, std::move(options));
  if (!prepared) {
    core_->run_in_dispatch([done = std::move(done), error = prepared.error()] { done(fail(error)); });
    return {core_, 0};
  }
  const auto id = core_->mail().ask(
      protocol::invoke_method, std::move(prepared->parameters), std::move(prepared->fds),
      [done = std::move(done)](Result<Mail::Delivered> result) { done(to_answer(std::move(result))); },
      When::in_dispatch);
  return {core_, id};
}

void PendingCall::cancel() {
  if (const auto core = core_.lock(); core && id_ != 0) core->mail().cancel(id_);
}

Result<CommandHandler> Client::handle(std::string_view name, Token token) {
  auto impl = std::make_shared<CommandHandler::Impl>(core_, token, std::string(name));
  auto result = ask_and_wait(
      *core_, [&](Mail& mail, Mail::OnAnswer on_answer) { mail.add(impl, std::move(on_answer), When::at_once); });
  if (!result) {
    impl->ended = result.error();
    return fail(std::move(result.error()));
  }
  return CommandHandler(std::move(impl));
}

void Client::handle_async(std::string_view name, Token token, Done<CommandHandler> done) {
  auto impl = std::make_shared<CommandHandler::Impl>(core_, token, std::string(name));
  core_->mail().add(
      impl,
      [impl, done = std::move(done)](Result<Mail::Delivered> result) {
        if (result) return done(CommandHandler(impl));
        impl->ended = result.error();
        done(fail(std::move(result.error())));
      },
      When::in_dispatch);
}

Result<Listener> Client::listen(std::string_view pattern, Token token) {
  auto impl = std::make_shared<Listener::Impl>(core_, token, std::string(pattern));
  auto result = ask_and_wait(
      *core_, [&](Mail& mail, Mail::OnAnswer on_answer) { mail.add(impl, std::move(on_answer), When::at_once); });
  if (!result) {
    impl->ended = result.error();
    return fail(std::move(result.error()));
  }
  return Listener(std::move(impl));
}

void Client::listen_async(std::string_view pattern, Token token, Done<Listener> done) {
  auto impl = std::make_shared<Listener::Impl>(core_, token, std::string(pattern));
  core_->mail().add(
      impl,
      [impl, done = std::move(done)](Result<Mail::Delivered> result) {
        if (result) return done(Listener(impl));
        impl->ended = result.error();
        done(fail(std::move(result.error())));
      },
      When::in_dispatch);
}

namespace {

Result<protocol::EmitParameters> prepare_message(std::string_view topic, std::string_view payload) {
  auto json = json_of(payload, "the message's contents");
  if (!json) return fail(std::move(json.error()));
  return protocol::EmitParameters{.topic = std::string(topic), .payload = std::move(*json)};
}

}  // namespace

Result<void> Client::emit(std::string_view topic, std::string_view payload) {
  auto prepared = prepare_message(topic, payload);
  if (!prepared) return fail(std::move(prepared.error()));
  return to_nothing(ask_and_wait(*core_, [&](Mail& mail, Mail::OnAnswer on_answer) {
    mail.ask(protocol::emit_method, std::move(*prepared), {}, std::move(on_answer), When::at_once);
  }));
}

void Client::emit_async(std::string_view topic, std::string_view payload, Done<void> done) {
  auto prepared = prepare_message(topic, payload);
  if (!prepared) {
    if (done) core_->run_in_dispatch([done = std::move(done), error = prepared.error()] { done(fail(error)); });
    return;
  }
  if (!done) return core_->mail().tell(protocol::emit_method, protocol::to_text(*prepared));
  core_->mail().ask(
      protocol::emit_method, std::move(*prepared), {},
      [done = std::move(done)](const Result<Mail::Delivered>& result) { done(to_nothing(result)); }, When::in_dispatch);
}

// --- calls that came ---

CommandCall::CommandCall(std::shared_ptr<detail::IncomingCall> call) noexcept : call_(std::move(call)) {}
CommandCall::CommandCall(CommandCall&&) noexcept = default;
CommandCall& CommandCall::operator=(CommandCall&& other) noexcept {
  std::swap(call_, other.call_);
  return *this;
}
CommandCall::~CommandCall() {
  if (!call_ || call_->answered || call_->cancelled) return;
  if (const auto core = call_->core.lock())
    core->mail().refuse_call(call_->number, "Unanswered",
                             call_->refused.empty() ? "the handler gave the call up without an answer"
                                                    : "the handler's answer could not be sent: " + call_->refused);
}

const std::string& CommandCall::name() const noexcept { return call_->name; }
const std::string& CommandCall::arguments() const noexcept { return call_->arguments; }
std::vector<Attachment>& CommandCall::attachments() noexcept { return call_->attachments; }
std::uint64_t CommandCall::id() const noexcept { return call_->number; }
bool CommandCall::cancelled() const noexcept { return call_->cancelled; }

namespace {

Result<void> send_answer(detail::IncomingCall& call, protocol::AnswerParameters parameters, std::vector<UniqueFd> fds) {
  const auto core = call.core.lock();
  if (!core) return fail(Errc::disconnected);
  if (call.cancelled) return {};
  parameters.id = call.number;
  return core->mail().answer_call(parameters, std::move(fds));
}

Result<void> answer(detail::IncomingCall& call, std::string_view result, std::vector<Attachment> attachments) {
  auto json = json_of(result, "the results");
  if (!json) return fail(std::move(json.error()));
  auto fds = Mail::fds_of(std::move(attachments));
  if (!fds) return fail(std::move(fds.error()));
  protocol::AnswerParameters parameters{.result = std::move(*json)};
  if (!fds->empty()) parameters.file_descriptors = places(fds->size());
  return send_answer(call, std::move(parameters), std::move(*fds));
}

Result<void> reject(detail::IncomingCall& call, std::string_view error, std::string_view message,
                    std::string_view details) {
  protocol::AnswerParameters parameters{.error = std::string(error), .message = std::string(message)};
  if (!details.empty()) {
    auto json = json_of(details, "the details");
    if (!json) return fail(std::move(json.error()));
    parameters.details = std::move(*json);
  }
  return send_answer(call, std::move(parameters), {});
}

// Answers by `give`, once. What cannot be sent is no answer, and its reason is kept for the caller.
template <class Give>
Result<void> answer_once(detail::IncomingCall& call, Give give) {
  if (call.answered) return fail(Errc::misuse, "the call was answered already");
  auto given = give();
  call.answered = given.has_value();
  if (!given) call.refused = given.error().text();
  return given;
}

}  // namespace

Result<void> CommandCall::answer(std::string_view result, std::vector<Attachment> attachments) {
  return answer_once(*call_, [&] { return memio::answer(*call_, result, std::move(attachments)); });
}

Result<void> CommandCall::reject(std::string_view error, std::string_view message, std::string_view details) {
  return answer_once(*call_, [&] { return memio::reject(*call_, error, message, details); });
}

CommandHandler::Impl::~Impl() {
  core->mail().remove(*this);
  for (auto& call : calls) [[maybe_unused]] const CommandCall rejected(std::move(call));  // because it is dropped
}

CommandHandler::CommandHandler(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
CommandHandler::CommandHandler(CommandHandler&&) noexcept = default;
CommandHandler& CommandHandler::operator=(CommandHandler&&) noexcept = default;
CommandHandler::~CommandHandler() = default;

Result<std::optional<CommandCall>> CommandHandler::next() {
  if (impl_->calls.empty()) impl_->core->mail().pump();
  return take();
}

Result<std::optional<CommandCall>> CommandHandler::take() {
  if (impl_->calls.empty()) {
    if (impl_->ended) return fail(*impl_->ended);
    return std::optional<CommandCall>();
  }
  CommandCall call(std::move(impl_->calls.front()));
  impl_->calls.pop_front();
  return std::optional<CommandCall>(std::move(call));
}

Result<CommandCall> CommandHandler::wait(std::chrono::milliseconds timeout) {
  return wait_for<CommandCall>(*impl_->core, timeout, [this] { return take(); });
}

// --- messages ---

Listener::Impl::~Impl() { core->mail().remove(*this); }

Listener::Listener(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;
Listener::~Listener() = default;

Result<std::optional<Message>> Listener::next() {
  if (impl_->messages.empty()) impl_->core->mail().pump();
  return take();
}

Result<std::optional<Message>> Listener::take() {
  if (impl_->messages.empty()) {
    if (impl_->ended) return fail(*impl_->ended);
    return std::optional<Message>();
  }
  Message message = std::move(impl_->messages.front());
  impl_->messages.pop_front();
  impl_->bytes -= message.topic.size() + message.payload.size();
  return std::optional<Message>(std::move(message));
}

Result<Message> Listener::wait(std::chrono::milliseconds timeout) {
  return wait_for<Message>(*impl_->core, timeout, [this] { return take(); });
}

}  // namespace memio

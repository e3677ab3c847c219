// SPDX-License-Identifier: MIT
#include "mail_methods.h"

#include <algorithm>
#include <array>

#include "memio/region_name.h"

namespace memio::broker {

namespace {

using namespace protocol;  // NOLINT(google-build-using-namespace): every line here speaks of the protocol

// An emit does so much work for as many listeners that it counts as another call.
constexpr std::size_t listeners_a_call = 16;

Error not_allowed(Right right, const std::string& what, const std::string& name) {
  return {Errc::permission_denied, 0,
          "this connection may not " + std::string(to_string(right)) + " the " + what + " " + name};
}

Result<void> check_receives(Context& context, std::string_view method) {
  if (context.session.receives()) return {};
  return fail(Errc::permission_denied,
              std::string(method) + " is for a connection that receives; call Receive on it first");
}

Result<void> handle_one(Context& context, const std::string& name) {
  if (auto checked = check_name(name); !checked) return checked;
  if (!context.session.grants().allows(name, Right::handle)) return fail(not_allowed(Right::handle, "command", name));
  return context.broker.commands().handle(name, context.session.mailbox());
}

Result<void> listen_to_one(Context& context, const std::string& pattern) {
  if (auto checked = check_pattern(pattern); !checked) return checked;
  return context.broker.topics().listen(pattern, context.session.mailbox());
}

Error rejected(std::string name, std::string message, std::string details = {}) {
  return {Errc::command_failed, 0, std::move(message),
          std::make_shared<const Rejection>(Rejection{std::move(name), std::move(details)})};
}

Result<Answer> done(Result<void> result) {
  if (!result) return fail(std::move(result.error()));
  return Answer{JsonText{}, {}};
}

}  // namespace

Result<Answer> receive(Context& context, const ReceiveParameters& parameters) {
  if (!context.more) return fail(Errc::expected_more);
  Session& session = context.session;
  Result<void> begun;
  if (parameters.handle)
    for (const auto& name : *parameters.handle)
      if (begun) begun = handle_one(context, name);
  if (parameters.listen)
    for (const auto& pattern : *parameters.listen)
      if (begun) begun = listen_to_one(context, pattern);
  if (!begun) {
    context.broker.forget_mailbox(session);
    return fail(std::move(begun.error()));
  }
  session.start_receiving();
  return Answer{};
}

Result<Answer> handle_command(Context& context, const HandleParameters& parameters) {
  if (auto checked = check_receives(context, "Handle"); !checked) return fail(std::move(checked.error()));
  return done(handle_one(context, parameters.name));
}

Result<Answer> unhandle_command(Context& context, const UnhandleParameters& parameters) {
  if (auto checked = check_receives(context, "Unhandle"); !checked) return fail(std::move(checked.error()));
  if (auto checked = check_name(parameters.name); !checked) return fail(std::move(checked.error()));
  return done(context.broker.commands().unhandle(parameters.name, context.session.mailbox()));
}

Result<Answer> listen_to_topics(Context& context, const ListenParameters& parameters) {
  if (auto checked = check_receives(context, "Listen"); !checked) return fail(std::move(checked.error()));
  return done(listen_to_one(context, parameters.pattern));
}

Result<Answer> unlisten_to_topics(Context& context, const UnlistenParameters& parameters) {
  if (auto checked = check_receives(context, "Unlisten"); !checked) return fail(std::move(checked.error()));
  return done(context.broker.topics().unlisten(parameters.pattern, context.session.mailbox()));
}

Result<Answer> invoke_command(Context& context, const InvokeParameters& parameters) {
  if (auto checked = check_name(parameters.name); !checked) return fail(std::move(checked.error()));
  Session& session = context.session;
  auto attachments =
      take_attachments(context.broker.registry(), session.account(), parameters.file_descriptors, context.fds);
  if (!attachments) return fail(std::move(attachments.error()));
  if (!session.grants().allows(parameters.name, Right::invoke)) return fail(no_such_command(parameters.name));
  Commands::Invocation invocation{.name = parameters.name,
                                  .arguments = parameters.arguments,
                                  .attachments = std::move(*attachments),
                                  .wants_answer = !context.oneway || (session.receives() && parameters.id)};
  if (session.receives()) invocation.id = parameters.id;
  if (parameters.timeout) {
    constexpr std::uint64_t most = std::uint64_t{1} << 40;
    invocation.timeout = std::chrono::milliseconds(std::min(*parameters.timeout, most));
  }
  auto invoked = context.broker.commands().invoke(session.mailbox(), std::move(invocation), Commands::Clock::now());
  if (!invoked) return fail(std::move(invoked.error()));
  if (!context.oneway) session.await_answer();
  return Answer{};
}

Result<Answer> cancel_call(Context& context, const CancelParameters& parameters) {
  if (auto checked = check_receives(context, "Cancel"); !checked) return fail(std::move(checked.error()));
  context.broker.commands().cancel(context.session.mailbox(), parameters.id);
  return done({});
}

Result<Answer> answer_command(Context& context, const AnswerParameters& parameters) {
  if (auto checked = check_receives(context, "Answer"); !checked) return fail(std::move(checked.error()));
  Commands::Outcome outcome;
  auto attachments = context.fds_lost ? Result<Attachments>(no_room_for_fds())
                                      : take_attachments(context.broker.registry(), context.session.account(),
                                                         parameters.file_descriptors, context.fds);
  // The caller is not to wait because an answer was wrong.
  if (!attachments) {
    outcome.error = rejected(std::string(attachments.error().name()),
                             "the handler's answer cannot be passed on: " + attachments.error().text());
  } else if (parameters.error) {
    outcome.error = rejected(*parameters.error, parameters.message.value_or(""),
                             parameters.details ? parameters.details->text : std::string());
  } else {
    outcome.result = parameters.result;
    outcome.attachments = std::move(*attachments);
  }
  context.broker.commands().answer(context.session.mailbox(), parameters.id, std::move(outcome));
  return done({});
}

Result<Answer> emit_message(Context& context, const EmitParameters& parameters) {
  if (auto checked = check_name(parameters.topic); !checked) return fail(std::move(checked.error()));
  if (!context.session.grants().allows(parameters.topic, Right::emit))
    return fail(not_allowed(Right::emit, "topic", parameters.topic));
  const auto told = context.broker.topics().emit(parameters.topic, parameters.payload);
  context.session.spend(told / listeners_a_call);
  return done({});
}

bool takes_attachments(std::string_view method) { return method == invoke_method || method == answer_method; }

std::optional<std::uint64_t> request_id(const Call& call) {
  constexpr std::array with_id = {handle_method,   unhandle_method, listen_method,
                                  unlisten_method, invoke_method,   emit_method};
  if (std::ranges::find(with_id, call.method) == with_id.end()) return std::nullopt;
  const auto id = call.parameters.find("id");
  if (id == call.parameters.end() || !id->is_number_unsigned()) return std::nullopt;
  return id->get<std::uint64_t>();
}

}  // namespace memio::broker

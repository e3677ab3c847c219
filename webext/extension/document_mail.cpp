// SPDX-License-Identifier: MIT
// Commands and messages of a DocumentSession: what the runtime asks for (webext/js/src/calls.ts), and what it is told.
// Values are JSON text here, and only the runtime looks into them; what goes beside them are bytes and regions.

#include "document_session.h"
#include "memio/region_name.h"
#include "memio/unique_fd.h"
#include "open_region.h"

namespace memio::webext {

namespace {

// Who is asked for more than this is told nothing new, and the page's thread is not kept for long.
constexpr int messages_at_once = 256;

Result<std::string> command_name(const Arguments& arguments, unsigned index, const char* what) {
  auto name = arguments.string(index);
  if (!name) return fail(Errc::invalid_name, std::string(what) + " is a string, not " + describe(arguments.at(index)));
  if (auto checked = check_name(*name); !checked) return fail(std::move(checked.error()));
  return std::move(*name);
}

// Bytes of a Uint8Array in memory of the runtime's own, which may be pinned.
std::span<const std::byte> bytes_of(JSCValue* array) {
  gsize length = 0;
  const auto* data = static_cast<const std::byte*>(jsc_value_typed_array_get_data(array, &length));
  return {data, data ? length : 0};
}

bool is_bytes(JSCValue* value) {
  return jsc_value_is_typed_array(value) && jsc_value_typed_array_get_type(value) == JSC_TYPED_ARRAY_UINT8;
}

JsValue to_js(JSCContext* context, std::span<const std::byte> bytes) {
  JsValue array(jsc_value_new_typed_array(context, JSC_TYPED_ARRAY_UINT8, bytes.size()));
  gsize length = 0;
  void* data = jsc_value_typed_array_get_data(array.get(), &length);
  if (!bytes.empty() && data && length == bytes.size()) std::memcpy(data, bytes.data(), length);
  return array;
}

JsValue to_js(JSCContext* context, const std::string& text) {
  return JsValue(jsc_value_new_string(context, text.c_str()));
}

}  // namespace

Result<std::vector<Attachment>> DocumentSession::attachments_from(const Arguments& arguments, unsigned first) {
  std::vector<Attachment> attachments;
  for (unsigned i = first; arguments.at(i); ++i) {
    if (is_bytes(arguments.at(i))) {
      auto bytes = Attachment::of_bytes(bytes_of(arguments.at(i)));
      if (!bytes) return fail(std::move(bytes.error()));
      attachments.push_back(std::move(*bytes));
      continue;
    }
    const auto handle = arguments.number(i);
    const auto found = handle ? regions_.find(*handle) : regions_.end();
    if (found == regions_.end()) return fail(closed_handle());
    auto region = Attachment::of_region(found->second.region);
    if (!region) return fail(std::move(region.error()));
    attachments.push_back(std::move(*region));
  }
  return attachments;
}

JsValue DocumentSession::attachments_to_js(JSCContext* context, const std::shared_ptr<Link>& link,
                                           std::vector<Attachment>& attachments) {
  const std::unique_ptr<GPtrArray, decltype(&g_ptr_array_unref)> values(g_ptr_array_new_with_free_func(g_object_unref),
                                                                        g_ptr_array_unref);
  for (auto& attachment : attachments) {
    JsValue value;
    if (attachment.is_region()) {
      if (auto region = attachment.take_region())
        if (const auto opened = adopt_region(link, std::move(*region))) value = webext::to_js(context, *opened);
    } else if (const auto bytes = attachment.bytes()) {
      value = to_js(context, *bytes);
    }
    // A descriptor of another kind is nothing to JavaScript.
    g_ptr_array_add(values.get(), value ? value.release() : jsc_value_new_null(context));
  }
  return JsValue(jsc_value_new_array_from_garray(context, values.get()));
}

// call(request, name, json, timeout, attachments...)
JsValue DocumentSession::call(JSCContext*, const Arguments& arguments) {
  constexpr unsigned first_attachment = 4;
  const std::uint64_t request = request_of(arguments);
  auto name = command_name(arguments, 1, "a command's name");
  auto attachments = attachments_from(arguments, first_attachment);
  if (!name || !attachments) {
    answer(request, fail(!name ? std::move(name.error()) : std::move(attachments.error())));
    return {};
  }
  auto options = std::make_shared<CallOptions>();  // std::function wants what can be copied
  options->attachments = std::move(*attachments);
  constexpr std::uint64_t longest = std::uint64_t{1} << 40;
  if (const auto timeout = arguments.number(3))
    options->timeout = std::chrono::milliseconds(std::min(*timeout, longest));
  pending_calls_[request].reset();
  with_link([this, request, name = std::move(*name), json = arguments.string(2).value_or("null"),
             options](Result<std::shared_ptr<Link>> link) {
    const auto pending = pending_calls_.find(request);
    if (pending == pending_calls_.end()) return;  // cancel_call() was faster
    if (!link) {
      pending_calls_.erase(pending);
      return answer(request, fail(std::move(link.error())));
    }
    auto done = [weak = weak_from_this(), weak_link = std::weak_ptr(*link), life = life_,
                 request](Result<CallAnswer> result) {
      const auto session = weak.lock();
      if (!session || session->life_ != life) return;
      session->pending_calls_.erase(request);
      Answer answer{.request = request, .value = Json()};
      if (result)
        answer.called =
            std::make_shared<Called>(weak_link.lock(), std::move(result->result), std::move(result->attachments));
      else
        answer.value = fail(std::move(result.error()));
      session->answers_.push_back(std::move(answer));
      session->answer_soon();
    };
    auto call = (*link)->client().call_async(name, json, std::move(*options), std::move(done));
    if (const auto still = pending_calls_.find(request); still != pending_calls_.end()) still->second = std::move(call);
  });
  return {};
}

// cancelCall(request)
JsValue DocumentSession::cancel_call(JSCContext*, const Arguments& arguments) {
  const auto found = pending_calls_.find(request_of(arguments));
  if (found == pending_calls_.end()) return {};
  if (found->second) {
    found->second->cancel();
    return {};
  }
  pending_calls_.erase(found);  // it has not been sent, and never will be
  answer(request_of(arguments), fail(Errc::call_cancelled, "the caller gave it up"));
  return {};
}

// handle(request, number, name)
JsValue DocumentSession::handle(JSCContext*, const Arguments& arguments) {
  const std::uint64_t request = request_of(arguments);
  const std::uint64_t number = arguments.number(1).value_or(0);
  auto name = command_name(arguments, 2, "a command's name");
  if (!name) {
    answer(request, fail(std::move(name.error())));
    return {};
  }
  commands_[number].reset();
  with_link([this, request, number, name = std::move(*name)](Result<std::shared_ptr<Link>> link) {
    if (!link) return answer(request, fail(std::move(link.error())));
    auto done = [weak = weak_from_this(), weak_link = std::weak_ptr(*link), call = begin_call(request), request,
                 number](Result<CommandHandler> handler) {
      const auto session = weak.lock();
      if (!session || !session->end_call(call)) return;
      if (!handler) session->commands_.erase(number);
      const auto found = session->commands_.find(number);  // not if unhandle() was faster
      if (handler && found != session->commands_.end())
        found->second.emplace(OpenedCommand{weak_link.lock(), std::move(*handler)});
      session->answer(request, handler ? Result<Json>(Json()) : fail(std::move(handler.error())));
    };
    (*link)->client().handle_async(name, Token{number}, std::move(done));
  });
  return {};
}

// unhandle(number)
JsValue DocumentSession::unhandle(JSCContext*, const Arguments& arguments) {
  if (const auto number = arguments.number(0)) commands_.erase(*number);
  return {};
}

void DocumentSession::on_call(Token token) {
  const auto found = commands_.find(token.value);
  if (found == commands_.end() || !found->second) return;
  // All of them first: the page's code runs while it is told, and may end this.
  const auto link = found->second->link;
  std::vector<std::uint64_t> came;
  std::optional<Error> ended;
  for (;;) {
    auto call = found->second->handler.next();
    if (!call) ended = std::move(call.error());
    if (ended || !*call) break;
    calls_to_answer_.emplace(++last_incoming_, std::move(**call));
    came.push_back(last_incoming_);
  }
  if (ended) commands_.erase(found);
  const std::uint64_t life = life_;
  for (const std::uint64_t number : came) {
    tell_call(token.value, number, link);
    if (life != life_) return;
  }
  if (ended) tell_end(token.value, *ended);
}

void DocumentSession::tell_call(std::uint64_t number, std::uint64_t incoming, const std::shared_ptr<Link>& link) {
  const JsValue target = handlers();
  const auto found = calls_to_answer_.find(incoming);
  if (!target || found == calls_to_answer_.end()) return;
  JSCContext* context = jsc_value_get_context(target.get());
  const JsValue attachments = attachments_to_js(context, link, found->second.attachments());
  const JsValue result(jsc_value_object_invoke_method(
      target.get(), "called", G_TYPE_DOUBLE, static_cast<double>(number), G_TYPE_DOUBLE, static_cast<double>(incoming),
      G_TYPE_STRING, found->second.arguments().c_str(), JSC_TYPE_VALUE, attachments.get(), G_TYPE_NONE));
  jsc_context_clear_exception(context);
}

void DocumentSession::on_call_cancelled(Token) {
  std::vector<std::uint64_t> cancelled;
  for (const auto& [number, call] : calls_to_answer_)
    if (call.cancelled()) cancelled.push_back(number);
  for (const auto number : cancelled) calls_to_answer_.erase(number);
  const std::uint64_t life = life_;
  for (const auto number : cancelled) {
    tell_number("callCancelled", number);
    if (life != life_) return;
  }
}

// answer(call, json, attachments...)
JsValue DocumentSession::answer_call(JSCContext*, const Arguments& arguments) {
  constexpr unsigned first_attachment = 2;
  auto call = calls_to_answer_.extract(arguments.number(0).value_or(0));
  if (!call) return {};
  auto attachments = attachments_from(arguments, first_attachment);
  const auto answered = attachments
                            ? call.mapped().answer(arguments.string(1).value_or("null"), std::move(*attachments))
                            : call.mapped().reject(attachments.error().name(), sentence_of(attachments.error()));
  // A lost connection; the caller hears of that as well.
  static_cast<void>(answered);
  return {};
}

// reject(call, error, message, details)
JsValue DocumentSession::reject_call(JSCContext*, const Arguments& arguments) {
  auto call = calls_to_answer_.extract(arguments.number(0).value_or(0));
  if (!call) return {};
  static_cast<void>(call.mapped().reject(arguments.string(1).value_or("Error"), arguments.string(2).value_or(""),
                                         arguments.string(3).value_or("")));
  return {};
}

// emit(request, topic, json)
JsValue DocumentSession::emit(JSCContext*, const Arguments& arguments) {
  const std::uint64_t request = request_of(arguments);
  auto topic = command_name(arguments, 1, "a topic");
  if (!topic) {
    answer(request, fail(std::move(topic.error())));
    return {};
  }
  with_link([this, request, topic = std::move(*topic),
             json = arguments.string(2).value_or("null")](Result<std::shared_ptr<Link>> link) {
    if (!link) return answer(request, fail(std::move(link.error())));
    auto done = [weak = weak_from_this(), call = begin_call(request), request](Result<void> emitted) {
      const auto session = weak.lock();
      if (!session || !session->end_call(call)) return;
      session->answer(request, emitted ? Result<Json>(Json()) : fail(std::move(emitted.error())));
    };
    (*link)->client().emit_async(topic, json, std::move(done));
  });
  return {};
}

// listen(request, number, pattern)
JsValue DocumentSession::listen(JSCContext*, const Arguments& arguments) {
  const std::uint64_t request = request_of(arguments);
  const std::uint64_t number = arguments.number(1).value_or(0);
  auto pattern = arguments.string(2);
  auto checked = pattern ? check_pattern(*pattern)
                         : fail(Errc::invalid_pattern, "a pattern is a string, not " + describe(arguments.at(2)));
  if (!checked) {
    answer(request, fail(std::move(checked.error())));
    return {};
  }
  listeners_[number].reset();
  with_link([this, request, number, pattern = std::move(*pattern)](Result<std::shared_ptr<Link>> link) {
    if (!link) return answer(request, fail(std::move(link.error())));
    auto done = [weak = weak_from_this(), weak_link = std::weak_ptr(*link), call = begin_call(request), request,
                 number](Result<Listener> listener) {
      const auto session = weak.lock();
      if (!session || !session->end_call(call)) return;
      if (!listener) session->listeners_.erase(number);
      const auto found = session->listeners_.find(number);  // not if unlisten() was faster
      if (listener && found != session->listeners_.end())
        found->second.emplace(OpenedListener{weak_link.lock(), std::move(*listener)});
      session->answer(request, listener ? Result<Json>(Json()) : fail(std::move(listener.error())));
    };
    (*link)->client().listen_async(pattern, Token{number}, std::move(done));
  });
  return {};
}

// unlisten(number)
JsValue DocumentSession::unlisten(JSCContext*, const Arguments& arguments) {
  if (const auto number = arguments.number(0)) listeners_.erase(*number);
  return {};
}

void DocumentSession::on_message(Token token) {
  const auto found = listeners_.find(token.value);
  if (found == listeners_.end() || !found->second) return;
  std::vector<Message> messages;
  std::optional<Error> ended;
  for (int i = 0; i < messages_at_once; ++i) {
    auto message = found->second->listener.next();
    if (!message) ended = std::move(message.error());
    if (ended || !*message) break;
    messages.push_back(std::move(**message));
  }
  if (ended) listeners_.erase(found);
  const std::uint64_t life = life_;
  for (const auto& message : messages) {
    tell_message(token.value, message);
    if (life != life_) return;
  }
  if (ended) tell_end(token.value, *ended);
}

void DocumentSession::tell_message(std::uint64_t number, const Message& message) {
  const JsValue target = handlers();
  if (!target) return;
  const JsValue result(jsc_value_object_invoke_method(
      target.get(), "message", G_TYPE_DOUBLE, static_cast<double>(number), G_TYPE_STRING, message.topic.c_str(),
      G_TYPE_STRING, message.payload.c_str(), G_TYPE_DOUBLE, static_cast<double>(message.lost), G_TYPE_NONE));
  jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

void DocumentSession::tell_end(std::uint64_t number, const Error& error) {
  const JsValue target = handlers();
  if (!target) return;
  const JsValue result(jsc_value_object_invoke_method(
      target.get(), "standingEnded", G_TYPE_DOUBLE, static_cast<double>(number), G_TYPE_STRING,
      std::string(error.name()).c_str(), G_TYPE_STRING, sentence_of(error).c_str(), G_TYPE_NONE));
  jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

void DocumentSession::tell_number(const char* handler, std::uint64_t number) {
  const JsValue target = handlers();
  if (!target) return;
  const JsValue result(
      jsc_value_object_invoke_method(target.get(), handler, G_TYPE_DOUBLE, static_cast<double>(number), G_TYPE_NONE));
  jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

JsValue DocumentSession::to_given(JSCContext* context, const Answer& answer) {
  if (answer.called) {
    JsValue value(jsc_value_new_object(context, nullptr, nullptr));
    const auto define = [&](const char* name, const JsValue& member) {
      // Defined and not set: that could call code of the page's.
      jsc_value_object_define_property_data(
          value.get(), name, static_cast<JSCValuePropertyFlags>(JSC_VALUE_PROPERTY_ENUMERABLE), member.get());
    };
    define("json", to_js(context, answer.called->json));
    define("attachments", attachments_to_js(context, answer.called->link, answer.called->attachments));
    return value;
  }
  if (answer.value) return webext::to_js(context, *answer.value);
  const Error& error = answer.value.error();
  if (!error.rejection) return to_js(context, sentence_of(error));
  return webext::to_js(
      context,
      Json{{"message", error.message}, {"rejection", error.rejection->error}, {"details", error.rejection->details}});
}

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
// What the application itself says to a document, and the document to it: shared buffers and messages, for pages that
// were written for WebView2. The runtime decides what to do with them (webext/js/src/compat/webview2.ts).

#include "../common/messages.h"
#include "document_session.h"

namespace memio::webext {

namespace {

void refuse(WebKitUserMessage* message, const char* error, const char* text) {
  webkit_user_message_send_reply(message,
                                 webkit_user_message_new(refused_message, g_variant_new(refused_type, error, text)));
}

void refuse_left(WebKitUserMessage* message) {
  refuse(message, std::string(error_name(Errc::disconnected)).c_str(), "the document was left before that came");
}

}  // namespace

std::optional<std::uint64_t> DocumentSession::frame_of(WebKitUserMessage* message) {
  const std::string_view name = webkit_user_message_get_name(message);
  GVariant* parameters = webkit_user_message_get_parameters(message);
  const auto is = [&](const char* what, const char* type) {
    return name == what && parameters && g_variant_is_of_type(parameters, G_VARIANT_TYPE(type));
  };
  if (!is(post_message, post_type) && !is(await_read_message, await_read_type) && !is(to_page_message, to_page_type))
    return std::nullopt;
  const VariantPtr frame(g_variant_get_child_value(parameters, 0));
  return g_variant_get_uint64(frame.get());
}

bool DocumentSession::shows_in(WebKitWebPage* page, std::uint64_t frame) const noexcept {
  if (suspended_ || page_.get() != page || !frame_.get()) return false;
  return frame == 0 ? webkit_frame_is_main_frame(frame_.get()) : webkit_frame_get_id(frame_.get()) == frame;
}

void DocumentSession::host_message(WebKitUserMessage* message) {
  const JsValue target = handlers();
  const std::string_view name = webkit_user_message_get_name(message);
  if (name == to_page_message) {
    if (target) take_web_message(message, target.get());
  } else if (!target) {
    refuse_left(message);
  } else if (name == post_message) {
    take_post(message, target.get());
  } else {
    take_wait(message, target.get());
  }
  if (target) jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

void DocumentSession::take_web_message(WebKitUserMessage* message, JSCValue* target) {
  const char* json = nullptr;
  g_variant_get(webkit_user_message_get_parameters(message), "(t&s)", nullptr, &json);
  const JsValue result(jsc_value_object_invoke_method(target, "webMessage", G_TYPE_STRING, json, G_TYPE_NONE));
}

void DocumentSession::take_wait(WebKitUserMessage* message, JSCValue* target) {
  const std::uint64_t number = ++last_post_;
  posts_.emplace(number, share(message));
  const char* region = nullptr;
  guint64 sequence = 0;
  g_variant_get(webkit_user_message_get_parameters(message), "(t&st)", nullptr, &region, &sequence);
  const JsValue result(jsc_value_object_invoke_method(target, "awaitRead", G_TYPE_DOUBLE, static_cast<double>(number),
                                                      G_TYPE_STRING, region, G_TYPE_DOUBLE,
                                                      static_cast<double>(sequence), G_TYPE_NONE));
}

void DocumentSession::take_post(WebKitUserMessage* message, JSCValue* target) {
  const std::uint64_t post = ++last_post_;
  posts_.emplace(post, share(message));
  const char* region = nullptr;
  const char* access = nullptr;
  const char* json = nullptr;
  g_variant_get(webkit_user_message_get_parameters(message), "(t&s&s&s)", nullptr, &region, &access, &json);
  const JsValue result(jsc_value_object_invoke_method(target, "posted", G_TYPE_DOUBLE, static_cast<double>(post),
                                                      G_TYPE_STRING, region, G_TYPE_STRING, access, G_TYPE_STRING, json,
                                                      G_TYPE_NONE));
}

void DocumentSession::refuse_posts() noexcept {
  const auto posts = std::move(posts_);
  posts_.clear();
  for (const auto& [post, message] : posts) refuse_left(message.get());
}

JsValue DocumentSession::taken(JSCContext*, const Arguments& arguments) {
  const auto post = posts_.extract(arguments.number(0).value_or(0));
  if (post) webkit_user_message_send_reply(post.mapped().get(), webkit_user_message_new(taken_message, nullptr));
  return {};
}

JsValue DocumentSession::refuse_post(JSCContext*, const Arguments& arguments) {
  const auto post = posts_.extract(arguments.number(0).value_or(0));
  if (post)
    refuse(post.mapped().get(), arguments.string(1).value_or("").c_str(), arguments.string(2).value_or("").c_str());
  return {};
}

JsValue DocumentSession::post_web_message(JSCContext*, const Arguments& arguments) {
  const auto json = arguments.string(0);
  if (!json || suspended_ || !page_.get() || !frame_.get()) return {};
  if (!g_utf8_validate(json->data(), static_cast<gssize>(json->size()), nullptr)) return {};
  const guint64 frame = address_.empty() ? 0 : webkit_frame_get_id(frame_.get());
  webkit_web_page_send_message_to_view(
      page_.get(),
      webkit_user_message_new(from_page_message, g_variant_new(from_page_type, frame, address_.c_str(), json->c_str())),
      nullptr, nullptr, nullptr);
  return {};
}

}  // namespace memio::webext

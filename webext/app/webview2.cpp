// SPDX-License-Identifier: MIT
// The application's side of chrome.webview: posting regions as shared buffers, and messages both ways.
//
// Posting opens nothing here. The page is told the region's name and opens it on its own connection, so it gets what
// its grants allow and no more. That its script has the buffer comes back as the reply to the message; so does the
// page's end.
#include "webview2.h"

#include <nlohmann/json.hpp>
#include <string>

#include "../common/glib_ptr.h"
#include "../common/messages.h"
#include "memio/region_name.h"
#include "memio/result.h"

namespace memio::webext {

namespace {

const char* access_word(MemioWebkitBufferAccess access) noexcept {
  switch (access) {
    case MEMIO_WEBKIT_BUFFER_READ_ONLY: return read_only_access;
    case MEMIO_WEBKIT_BUFFER_READ_WRITE: return read_write_access;
  }
  return nullptr;
}

GError* invalid_argument(const std::string& text) {
  return g_error_new_literal(MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT, text.c_str());
}

GError* check_view(WebKitWebView* view) {
  return is_attached(view) ? nullptr
                           : invalid_argument("the view is not attached; call memio_webkit_attach_view() first");
}

GError* check_json(const char* json, const char* what) {
  if (nlohmann::json::accept(json)) return nullptr;
  return invalid_argument(std::string(what) + " is JSON, which \"" + json + "\" is not");
}

GError* check_target(WebKitWebView* view, const char* region) {
  if (GError* error = check_view(view)) return error;
  const auto checked = check_name(region);
  return checked ? nullptr : invalid_argument(checked.error().text());
}

GError* check_post(WebKitWebView* view, const char* region, MemioWebkitBufferAccess access, const char* json) {
  if (GError* error = check_target(view, region)) return error;
  if (!access_word(access)) return invalid_argument("access is MEMIO_WEBKIT_BUFFER_READ_ONLY or _READ_WRITE");
  return json && *json ? check_json(json, "the additional data of a shared buffer") : nullptr;
}

// Why the page has not taken the buffer.
GError* to_gerror(GVariant* refusal) {
  const char* name = "";
  const char* text = "the page answered in a way this library does not know";
  if (refusal && g_variant_is_of_type(refusal, G_VARIANT_TYPE(refused_type)))
    g_variant_get(refusal, "(&s&s)", &name, &text);
  MemioWebkitError code = MEMIO_WEBKIT_ERROR_REFUSED;
  if (error_from_name(name) == Errc::no_such_region) code = MEMIO_WEBKIT_ERROR_NO_REGION;
  if (error_from_name(name) == Errc::disconnected) code = MEMIO_WEBKIT_ERROR_NOT_TAKEN;
  return g_error_new(MEMIO_WEBKIT_ERROR, code, "%s", text);
}

void on_answer(GObject* view, GAsyncResult* result, gpointer data) noexcept {
  const ObjectPtr<GTask> task(static_cast<GTask*>(data));
  GError* error = nullptr;
  const ObjectPtr<WebKitUserMessage> reply(
      webkit_web_view_send_message_to_page_finish(WEBKIT_WEB_VIEW(view), result, &error));
  if (!reply) {
    const ErrorPtr owned(error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      g_task_return_error(task.get(), g_error_copy(error));
    else
      g_task_return_new_error(task.get(), MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_NOT_TAKEN,
                              "the page is not there, or has no memio: %s", error->message);
    return;
  }
  if (std::string_view(webkit_user_message_get_name(reply.get())) == taken_message)
    g_task_return_boolean(task.get(), TRUE);
  else
    g_task_return_error(task.get(), to_gerror(webkit_user_message_get_parameters(reply.get())));
}

guint web_message_signal = 0;

}  // namespace

void add_web_message_signal(MemioWebkitClass* type) {
  web_message_signal =
      g_signal_new("web-message", G_TYPE_FROM_CLASS(type), G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr, G_TYPE_NONE,
                   4, WEBKIT_TYPE_WEB_VIEW, G_TYPE_UINT64, G_TYPE_STRING, G_TYPE_STRING);
}

void web_message_came(MemioWebkit* self, WebKitWebView* view, guint64 frame, const char* json, const char* uri) {
  // A web process that has been taken over may send anything; listeners are promised JSON.
  if (nlohmann::json::accept(json)) g_signal_emit(self, web_message_signal, 0, view, frame, json, uri);
}

}  // namespace memio::webext

using namespace memio::webext;

GType memio_webkit_buffer_access_get_type(void) {
  static GType type = 0;
  if (g_once_init_enter(&type)) {
    static const GEnumValue values[] = {
        {MEMIO_WEBKIT_BUFFER_READ_ONLY, "MEMIO_WEBKIT_BUFFER_READ_ONLY", "read-only"},
        {MEMIO_WEBKIT_BUFFER_READ_WRITE, "MEMIO_WEBKIT_BUFFER_READ_WRITE", "read-write"},
        {0, nullptr, nullptr},
    };
    g_once_init_leave(&type, g_enum_register_static("MemioWebkitBufferAccess", values));
  }
  return type;
}

void memio_webkit_post_shared_buffer(MemioWebkit* self, WebKitWebView* view, guint64 frame, const char* region,
                                     MemioWebkitBufferAccess access, const char* additional_data,
                                     GCancellable* cancellable, GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail(MEMIO_IS_WEBKIT(self) && WEBKIT_IS_WEB_VIEW(view) && region);
  ObjectPtr<GTask> task(g_task_new(self, cancellable, callback, user_data));
  g_task_set_source_tag(task.get(), reinterpret_cast<gpointer>(memio_webkit_post_shared_buffer));
  if (GError* error = check_post(view, region, access, additional_data)) {
    g_task_return_error(task.get(), error);
    return;
  }
  WebKitUserMessage* message = webkit_user_message_new(
      post_message,
      g_variant_new(post_type, frame, region, access_word(access), additional_data ? additional_data : ""));
  webkit_web_view_send_message_to_page(view, message, cancellable, on_answer, task.release());
}

void memio_webkit_await_read(MemioWebkit* self, WebKitWebView* view, guint64 frame, const char* region,
                             guint64 sequence, GCancellable* cancellable, GAsyncReadyCallback callback,
                             gpointer user_data) {
  g_return_if_fail(MEMIO_IS_WEBKIT(self) && WEBKIT_IS_WEB_VIEW(view) && region);
  ObjectPtr<GTask> task(g_task_new(self, cancellable, callback, user_data));
  g_task_set_source_tag(task.get(), reinterpret_cast<gpointer>(memio_webkit_await_read));
  if (GError* error = check_target(view, region)) {
    g_task_return_error(task.get(), error);
    return;
  }
  WebKitUserMessage* message =
      webkit_user_message_new(await_read_message, g_variant_new(await_read_type, frame, region, sequence));
  webkit_web_view_send_message_to_page(view, message, cancellable, on_answer, task.release());
}

gboolean memio_webkit_await_read_finish(MemioWebkit* self, GAsyncResult* result, GError** error) {
  g_return_val_if_fail(g_task_is_valid(result, self), FALSE);
  return g_task_propagate_boolean(G_TASK(result), error);
}

gboolean memio_webkit_post_shared_buffer_finish(MemioWebkit* self, GAsyncResult* result, GError** error) {
  g_return_val_if_fail(g_task_is_valid(result, self), FALSE);
  return g_task_propagate_boolean(G_TASK(result), error);
}

gboolean memio_webkit_post_web_message(MemioWebkit* self, WebKitWebView* view, guint64 frame, const char* json,
                                       GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && WEBKIT_IS_WEB_VIEW(view) && json, FALSE);
  GError* wrong = check_view(view);
  if (!wrong) wrong = check_json(json, "a web message");
  if (wrong) {
    g_propagate_error(error, wrong);
    return FALSE;
  }
  webkit_web_view_send_message_to_page(
      view, webkit_user_message_new(to_page_message, g_variant_new(to_page_type, frame, json)), nullptr, nullptr,
      nullptr);
  return TRUE;
}

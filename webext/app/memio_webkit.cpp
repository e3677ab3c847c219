// SPDX-License-Identifier: MIT
// The GObject of libmemio-webkit. What a page may do is decided here and nowhere else: the extension's own look at the
// policy only saves pages without grants from noticing anything, and a web process that has been taken over can ask
// whatever it likes.
//
// So what counts is the address that the view last committed, as this process knows it. webkit_web_view_get_uri() is
// not enough: while a navigation is under way it already names the next page, and the old one could ask with the new
// one's rights. A document's messages come after its commit, because both come through one pipe.
#include "memio-webkit.h"

#include <gio/gunixfdlist.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <utility>

#include "../common/glib_ptr.h"
#include "../common/messages.h"
#include "connection_request.h"
#include "memio/client.h"
#include "policy.h"
#include "policy_file.h"
#include "webkit_app.h"
#include "webview2.h"

using memio::UniqueFd;
using namespace memio::webext;

namespace {

constexpr unsigned seconds_to_wait = 10;
// A web process can ask as often as it likes. Documents ask once, and are answered within a millisecond.
constexpr long most_waiting = 1000;
constexpr const char* attached_key = "memio-webkit-attached";
constexpr const char* committed_key = "memio-webkit-committed";

struct App {
  Policy policy;
  std::string socket_path;
  // Has one owner here and one in each request that waits for memiod.
  std::shared_ptr<void> waiting = std::make_shared<char>();
};

}  // namespace

struct _MemioWebkit {
  GObject parent_instance;
  App* app;
};

G_DEFINE_FINAL_TYPE(MemioWebkit, memio_webkit, G_TYPE_OBJECT)
G_DEFINE_QUARK(memio - webkit - error - quark, memio_webkit_error)

static void memio_webkit_init(MemioWebkit* self) { self->app = new App(); }

static void memio_webkit_finalize(GObject* object) {
  delete MEMIO_WEBKIT(object)->app;
  G_OBJECT_CLASS(memio_webkit_parent_class)->finalize(object);
}

static void memio_webkit_class_init(MemioWebkitClass* type) {
  G_OBJECT_CLASS(type)->finalize = memio_webkit_finalize;
  add_web_message_signal(type);
}

bool memio::webext::is_attached(WebKitWebView* view) { return g_object_get_data(G_OBJECT(view), attached_key); }

GType memio_webkit_rights_get_type(void) {
  static GType type = 0;
  if (g_once_init_enter(&type)) {
    static const std::array<GFlagsValue, 10> values = {{
        {MEMIO_WEBKIT_READ, "MEMIO_WEBKIT_READ", "read"},
        {MEMIO_WEBKIT_WRITE, "MEMIO_WEBKIT_WRITE", "write"},
        {MEMIO_WEBKIT_CREATE, "MEMIO_WEBKIT_CREATE", "create"},
        {MEMIO_WEBKIT_REMOVE, "MEMIO_WEBKIT_REMOVE", "remove"},
        {MEMIO_WEBKIT_WATCH, "MEMIO_WEBKIT_WATCH", "watch"},
        {MEMIO_WEBKIT_INVOKE, "MEMIO_WEBKIT_INVOKE", "invoke"},
        {MEMIO_WEBKIT_HANDLE, "MEMIO_WEBKIT_HANDLE", "handle"},
        {MEMIO_WEBKIT_EMIT, "MEMIO_WEBKIT_EMIT", "emit"},
        {MEMIO_WEBKIT_LISTEN, "MEMIO_WEBKIT_LISTEN", "listen"},
        {0, nullptr, nullptr},
    }};
    g_once_init_leave(&type, g_flags_register_static("MemioWebkitRights", values.data()));
  }
  return type;
}

namespace {

std::vector<memio::protocol::Right> rights_of(unsigned bits) {
  using memio::protocol::Right;
  constexpr std::array<std::pair<unsigned, Right>, 9> all = {{{MEMIO_WEBKIT_READ, Right::read},
                                                              {MEMIO_WEBKIT_WRITE, Right::write},
                                                              {MEMIO_WEBKIT_CREATE, Right::create},
                                                              {MEMIO_WEBKIT_REMOVE, Right::remove},
                                                              {MEMIO_WEBKIT_WATCH, Right::watch},
                                                              {MEMIO_WEBKIT_INVOKE, Right::invoke},
                                                              {MEMIO_WEBKIT_HANDLE, Right::handle},
                                                              {MEMIO_WEBKIT_EMIT, Right::emit},
                                                              {MEMIO_WEBKIT_LISTEN, Right::listen}}};
  std::vector<Right> rights;
  for (const auto& [bit, right] : all)
    if (bits & bit) rights.push_back(right);
  return rights;
}

bool check_rights(unsigned rights, GError** error) {
  if (rights != 0 && (rights & ~static_cast<unsigned>(MEMIO_WEBKIT_ALL)) == 0) return true;
  g_set_error(
      error, MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_INVALID_RIGHTS,
      "rights are one or more of MEMIO_WEBKIT_READ, WRITE, CREATE, REMOVE, WATCH, INVOKE, HANDLE, EMIT and LISTEN, "
      "not %#x",
      rights);
  return false;
}

// Options of JavaScriptCore's can be set in no other way than by the environment, which web processes inherit. To be
// called whenever the policy has grown: afterwards it may be too late for the first web process.
void prepare_for_workers(const App& app) {
  const auto& rules = app.policy.rules();
  if (std::any_of(rules.begin(), rules.end(), [](const auto& rule) { return rule.options.workers; }))
    g_setenv("JSC_useSharedArrayBuffer", "1", TRUE);
}

// What became of a change to the policy, as a GError.
bool report(const memio::Result<void>& result, GError** error) {
  if (result) return true;
  const bool pattern = result.error().code == memio::Errc::invalid_pattern;
  g_set_error_literal(error, MEMIO_WEBKIT_ERROR,
                      pattern ? MEMIO_WEBKIT_ERROR_INVALID_PATTERN : MEMIO_WEBKIT_ERROR_INVALID_OPTION,
                      result.error().message.c_str());
  return false;
}

// True the first time for this object.
bool attach_once(GObject* object, const char* what, GError** error) {
  if (g_object_get_data(object, attached_key)) {
    g_set_error(error, MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_ATTACHED, "the %s is attached to a MemioWebkit already",
                what);
    return false;
  }
  g_object_set_data(object, attached_key, GINT_TO_POINTER(1));
  return true;
}

// --- one document's wish for a connection ---

void refuse(WebKitUserMessage* message, const memio::Error& error) {
  webkit_user_message_send_reply(
      message, webkit_user_message_new(refused_message, g_variant_new(refused_type, std::string(error.name()).c_str(),
                                                                      error.text().c_str())));
}

void reply(WebKitUserMessage* message, memio::Result<UniqueFd> socket) {
  if (!socket) return refuse(message, socket.error());
  const int fd = socket->release();  // the list closes it
  const ObjectPtr<GUnixFDList> fds(g_unix_fd_list_new_from_array(&fd, 1));
  webkit_user_message_send_reply(message, webkit_user_message_new_with_fd_list(connected_message, nullptr, fds.get()));
}

// Where the frame at `inside` in the page at `page` is; `inside` is empty for the main frame. That the page is there is
// known; where a frame in it is, only its web process says.
std::optional<FrameAddress> address_of(const char* page, const char* inside) {
  auto main = Origin::of_uri(page);
  if (!main || *inside == '\0') return main ? std::optional(FrameAddress{std::move(*main), {}}) : std::nullopt;
  auto origin = Origin::of_uri(inside);
  if (!origin) return std::nullopt;
  return FrameAddress{std::move(*origin), {std::move(*main)}};
}

// What the rules grant to a frame.
std::vector<memio::protocol::Grant> grants_of(const Policy& policy, const char* page, const char* inside) {
  const auto frame = address_of(page, inside);
  return frame ? policy.grants_of(*frame) : std::vector<memio::protocol::Grant>();
}

void connect_document(const App& app, WebKitWebView* view, WebKitUserMessage* message) {
  GVariant* parameters = webkit_user_message_get_parameters(message);
  if (!parameters || !g_variant_is_of_type(parameters, G_VARIANT_TYPE(connect_type)))
    return refuse(message, {memio::Errc::protocol_violation, 0,
                            "the extension asked in a way that this application does not know; are libmemio-webkit and "
                            "the extension of one version?"});
  const char* inside = nullptr;
  g_variant_get(parameters, connect_type, &inside);
  const auto* page = static_cast<const char*>(g_object_get_data(G_OBJECT(view), committed_key));
  auto grants = grants_of(app.policy, page, inside);
  if (grants.empty()) {
    const std::string frame = *inside ? std::string("the frame ") + inside + " in " : "";
    return refuse(message, {memio::Errc::permission_denied, 0,
                            "the application grants nothing to " + frame + "the page " + (page ? page : "(none)")});
  }
  memio::Result<std::string> path = app.socket_path;
  if (path->empty()) path = memio::Client::default_socket_path();
  if (!path) return refuse(message, path.error());
  if (app.waiting.use_count() > most_waiting)
    return refuse(message, {memio::Errc::limit_exceeded, 0,
                            "more than " + std::to_string(most_waiting) + " documents wait for memiod at once"});
  request_connection(*path, std::move(grants), seconds_to_wait,
                     [message = std::shared_ptr<WebKitUserMessage>(share(message)), waiting = app.waiting](
                         memio::Result<UniqueFd> socket) { reply(message.get(), std::move(socket)); });
}

void take_web_message(MemioWebkit* self, WebKitWebView* view, WebKitUserMessage* message) {
  GVariant* parameters = webkit_user_message_get_parameters(message);
  if (!parameters || !g_variant_is_of_type(parameters, G_VARIANT_TYPE(from_page_type))) return;
  guint64 frame = 0;
  const char* inside = nullptr;
  const char* json = nullptr;
  g_variant_get(parameters, "(t&s&s)", &frame, &inside, &json);
  const auto* page = static_cast<const char*>(g_object_get_data(G_OBJECT(view), committed_key));
  const auto address = address_of(page, inside);
  if (!address || !self->app->policy.has_layer(*address, "webview2") || (frame == 0) != (*inside == '\0')) return;
  web_message_came(self, view, frame, json, frame == 0 ? page : inside);
}

// --- WebKit's signals ---

gboolean on_message(WebKitWebView* view, WebKitUserMessage* message, gpointer data) noexcept {
  const std::string_view name = webkit_user_message_get_name(message);
  if (!name.starts_with("memio.")) return FALSE;
  try {
    if (name == connect_message)
      connect_document(*MEMIO_WEBKIT(data)->app, view, message);
    else if (name == from_page_message)
      take_web_message(MEMIO_WEBKIT(data), view, message);
    else
      refuse(message, {memio::Errc::protocol_violation, 0, "libmemio-webkit knows no message " + std::string(name)});
  } catch (const std::exception& error) {
    refuse(message, {memio::Errc::out_of_resources, 0, error.what()});
  }
  return TRUE;
}

void on_load_changed(WebKitWebView* view, WebKitLoadEvent event, gpointer) {
  if (event != WEBKIT_LOAD_COMMITTED) return;
  g_object_set_data_full(G_OBJECT(view), committed_key, g_strdup(webkit_web_view_get_uri(view)), g_free);
}

// The web process of the view has ended; what comes next is committed first.
void on_terminated(WebKitWebView* view, WebKitWebProcessTerminationReason, gpointer) {
  g_object_set_data(G_OBJECT(view), committed_key, nullptr);
}

void on_initialize(WebKitWebContext* context, gpointer data) {
  webkit_web_context_set_web_process_extensions_directory(context, memio_webkit_get_extension_directory());
  webkit_web_context_set_web_process_extensions_initialization_user_data(
      context, memio_webkit_get_initialization_data(MEMIO_WEBKIT(data)));
}

}  // namespace

MemioWebkit* memio_webkit_new(void) { return MEMIO_WEBKIT(g_object_new(MEMIO_TYPE_WEBKIT, nullptr)); }

void memio_webkit_set_socket_path(MemioWebkit* self, const char* path) {
  g_return_if_fail(MEMIO_IS_WEBKIT(self));
  self->app->socket_path = path ? path : "";
}

gboolean memio_webkit_allow(MemioWebkit* self, const char* origins, const char* names, MemioWebkitRights rights,
                            GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && origins && names, FALSE);
  if (!check_rights(rights, error)) return FALSE;
  return report(self->app->policy.allow(origins, names, rights_of(rights)), error);
}

gboolean memio_webkit_allow_inside(MemioWebkit* self, const char* within, const char* origins, const char* names,
                                   MemioWebkitRights rights, GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && within && origins && names, FALSE);
  if (!check_rights(rights, error)) return FALSE;
  return report(self->app->policy.allow_inside(within, origins, names, rights_of(rights)), error);
}

gboolean memio_webkit_enable(MemioWebkit* self, const char* origins, const char* option, GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && origins && option, FALSE);
  const gboolean enabled = report(self->app->policy.enable(origins, option), error);
  prepare_for_workers(*self->app);
  return enabled;
}

gboolean memio_webkit_load_policy(MemioWebkit* self, const char* path, GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && path, FALSE);
  char* text = nullptr;
  gsize size = 0;
  if (!g_file_get_contents(path, &text, &size, error)) return FALSE;
  const CharPtr owned(text);
  auto rules = parse_policy({text, size});
  if (!rules) {
    g_set_error(error, MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_INVALID_POLICY, "%s: %s", path,
                rules.error().message.c_str());
    return FALSE;
  }
  self->app->policy.add(std::move(*rules));
  prepare_for_workers(*self->app);
  return TRUE;
}

gboolean memio_webkit_attach_context(MemioWebkit* self, WebKitWebContext* context, GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && WEBKIT_IS_WEB_CONTEXT(context), FALSE);
  const char* directory = memio_webkit_get_extension_directory();
  if (!std::filesystem::is_directory(directory)) {
    g_set_error(error, MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_NO_EXTENSION,
                "the web process extension of memio is looked for in %s, which is no directory; install it, or set "
                "MEMIO_WEBEXT_DIR to where it is",
                directory);
    return FALSE;
  }
  if (!attach_once(G_OBJECT(context), "context", error)) return FALSE;
#ifndef MEMIO_WEBKIT_6
  webkit_web_context_set_sandbox_enabled(context, TRUE);
#endif
  // WebKit's sandbox shows /usr only.
  if (!g_str_has_prefix(directory, "/usr/")) webkit_web_context_add_path_to_sandbox(context, directory, TRUE);
  g_signal_connect_object(context, MEMIO_INITIALIZE_SIGNAL, G_CALLBACK(on_initialize), self,
                          static_cast<GConnectFlags>(0));
  return TRUE;
}

gboolean memio_webkit_attach_view(MemioWebkit* self, WebKitWebView* view, GError** error) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self) && WEBKIT_IS_WEB_VIEW(view), FALSE);
  if (!attach_once(G_OBJECT(view), "view", error)) return FALSE;
  constexpr auto flags = static_cast<GConnectFlags>(0);
  g_signal_connect_object(view, "user-message-received", G_CALLBACK(on_message), self, flags);
  g_signal_connect_object(view, "load-changed", G_CALLBACK(on_load_changed), self, flags);
  g_signal_connect_object(view, "web-process-terminated", G_CALLBACK(on_terminated), self, flags);
  // A page that is there already: nothing else is being loaded, so the address is its own.
  if (!webkit_web_view_is_loading(view)) on_load_changed(view, WEBKIT_LOAD_COMMITTED, nullptr);
  return TRUE;
}

const char* memio_webkit_get_extension_directory(void) {
  const char* directory = g_getenv("MEMIO_WEBEXT_DIR");
  return directory && *directory ? directory : MEMIO_EXTENSION_DIRECTORY;
}

GVariant* memio_webkit_get_initialization_data(MemioWebkit* self) {
  g_return_val_if_fail(MEMIO_IS_WEBKIT(self), nullptr);
  const std::string array_type = std::string("a") + document_rule_type;
  GVariantBuilder rules;
  g_variant_builder_init(&rules, G_VARIANT_TYPE(array_type.c_str()));
  for (const auto& rule : self->app->policy.rules())
    g_variant_builder_add_value(&rules, to_variant(DocumentRule{rule.frames, !rule.grants.empty(), rule.options}));
  GVariantBuilder data;
  g_variant_builder_init(&data, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&data, "{sv}", rules_key, g_variant_builder_end(&rules));
  return g_variant_builder_end(&data);
}

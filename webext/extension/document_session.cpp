// SPDX-License-Identifier: MIT
#include "document_session.h"

#include <gio/gunixfdlist.h>

#include <algorithm>
#include <utility>

#include "../common/messages.h"
#include "memio/protocol_json.h"
#include "native_functions.h"

extern "C" {
#include "memio_runtime_resource.h"  // generated C
}

namespace memio::webext {

namespace {

// memiod answers at once. If it does not, it is stopped, or the connection hangs.
constexpr unsigned seconds_for_a_call = 10;
// How long to wait before the application is asked for a lost connection once more, at first and at most.
constexpr guint first_delay = 10;
constexpr guint longest_delay = 1000;

void stop_timer(guint& source) noexcept {
  if (source != 0) g_source_remove(std::exchange(source, 0));
}

// Who asked for a connection, and in which of its lives.
struct Asked {
  std::weak_ptr<DocumentSession> session;
  std::uint64_t life;
};

struct BytesUnref {
  void operator()(GBytes* bytes) const noexcept { g_bytes_unref(bytes); }
};

// The socket in the application's answer, or why there is none.
Result<UniqueFd> read_answer(WebKitUserMessage* message) {
  const std::string_view name = webkit_user_message_get_name(message);
  if (name == refused_message) {
    GVariant* parameters = webkit_user_message_get_parameters(message);
    if (parameters && g_variant_is_of_type(parameters, G_VARIANT_TYPE(refused_type))) {
      const char* error = nullptr;
      const char* text = nullptr;
      g_variant_get(parameters, "(&s&s)", &error, &text);
      return fail(error_from_name(error), text);
    }
  }
  GUnixFDList* fds = webkit_user_message_get_fd_list(message);
  if (name != connected_message || !fds || g_unix_fd_list_get_length(fds) != 1)
    return fail(Errc::protocol_violation,
                "the application answered a page's wish for memiod in a way this extension does not "
                "know; are libmemio-webkit and the extension of one version?");
  GError* error = nullptr;
  UniqueFd socket(g_unix_fd_list_get(fds, 0, &error));
  const ErrorPtr owned_error(error);
  if (!socket.valid()) return fail(Errc::out_of_resources, error->message);
  return socket;
}

}  // namespace

std::shared_ptr<DocumentSession> DocumentSession::start(WebKitWebPage* page, WebKitFrame* frame, JSCContext* context,
                                                        const DocumentOptions& options) {
  const std::unique_ptr<GBytes, BytesUnref> source(g_resource_lookup_data(
      memio_runtime_get_resource(), "/io/memio/runtime.js", G_RESOURCE_LOOKUP_FLAGS_NONE, nullptr));
  if (!source) return nullptr;
  gsize size = 0;
  const auto* text = static_cast<const char*>(g_bytes_get_data(source.get(), &size));
  const JsValue runtime(
      jsc_context_evaluate_with_source_uri(context, text, static_cast<gssize>(size), "memio:runtime.js", 1));
  if (!runtime || !jsc_value_is_function(runtime.get())) return nullptr;

  auto session = std::make_shared<DocumentSession>(page, frame);
  const JsValue native = make_native(context, session, options);
  const JsValue handlers(jsc_value_function_call(runtime.get(), JSC_TYPE_VALUE, native.get(), G_TYPE_NONE));
  if (!handlers || !jsc_value_is_object(handlers.get())) return nullptr;
  session->handlers_.reset(jsc_weak_value_new(handlers.get()));
  return session;
}

DocumentSession::DocumentSession(WebKitWebPage* page, WebKitFrame* frame)
    : page_(page, [this] { suspend(); }),
      frame_(frame, [this] { suspend(); }),
      address_(webkit_frame_is_main_frame(frame) ? "" : webkit_frame_get_uri(frame)) {}

DocumentSession::~DocumentSession() { suspend(); }

void DocumentSession::suspend() noexcept {
  suspended_ = true;
  ++life_;
  waiting_for_link_.clear();
  connecting_ = false;
  stop_timer(ask_again_);
  stop_timer(deadline_);
  calls_.clear();
  answers_.clear();
  watches_.clear();
  pending_calls_.clear();
  calls_to_answer_.clear();
  commands_.clear();
  listeners_.clear();
  refuse_posts();
  regions_.clear();
  link_.reset();
}

// --- the connection ---

void DocumentSession::with_link(UseLink use) {
  if (link_ && link_->client().connected()) {
    use(link_);
    return;
  }
  waiting_for_link_.push_back(std::move(use));
  if (!connecting_) ask_for_link();
}

void DocumentSession::ask_for_link() {
  if (!page_.get() || suspended_) {
    socket_came(fail(Errc::disconnected, "the document has been left"));
    return;
  }
  connecting_ = true;
  const auto answered = +[](GObject* page, GAsyncResult* result, gpointer data) {
    const std::unique_ptr<Asked> asked(static_cast<Asked*>(data));
    GError* error = nullptr;
    const ObjectPtr<WebKitUserMessage> message(
        webkit_web_page_send_message_to_view_finish(WEBKIT_WEB_PAGE(page), result, &error));
    const ErrorPtr owned_error(error);
    const auto session = asked->session.lock();
    // A socket for a document that has been left is closed with the message.
    if (!session || session->life_ != asked->life) return;
    try {
      if (!message) {
        session->socket_came(fail(Errc::disconnected, std::string("the application does not serve this web view: ") +
                                                          error->message + " (it calls memio_webkit_attach_view)"));
        return;
      }
      session->socket_came(read_answer(message.get()));
    } catch (const std::exception& failure) {
      g_warning("memio: %s", failure.what());
    }
  };
  WebKitUserMessage* question = webkit_user_message_new(connect_message, g_variant_new(connect_type, address_.c_str()));
  webkit_web_page_send_message_to_view(page_.get(), question, nullptr, answered, new Asked{weak_from_this(), life_});
}

void DocumentSession::socket_came(Result<UniqueFd> socket) {
  connecting_ = false;
  const Result<void> used = socket ? use_socket(std::move(*socket)) : fail(std::move(socket.error()));
  Result<std::shared_ptr<Link>> link = link_;
  if (!used) link = fail(used.error());
  // What was open is worth coming back to, unless the application says that it will never be.
  if (!used && link_ && used.error().code != Errc::permission_denied) ask_again_later();
  for (const auto& use : std::exchange(waiting_for_link_, {})) use(link);
}

Result<void> DocumentSession::use_socket(UniqueFd socket) {
  if (link_) return link_->client().renew(std::move(socket));
  auto link = Link::make(std::move(socket), weak_from_this());
  if (!link) return fail(std::move(link.error()));
  link_ = std::move(*link);
  return {};
}

void DocumentSession::ask_again_later() {
  ask_again_delay_ = std::clamp(2 * ask_again_delay_, first_delay, longest_delay);
  stop_timer(ask_again_);
  const auto ask = [](gpointer data) -> gboolean {
    auto* session = static_cast<DocumentSession*>(data);
    session->ask_again_ = 0;
    if (!session->connecting_ && session->link_ && !session->link_->client().connected()) session->ask_for_link();
    return G_SOURCE_REMOVE;
  };
  ask_again_ = g_timeout_add(ask_again_delay_, ask, this);
}

// --- answers and events ---

void DocumentSession::answer(std::uint64_t request, Result<Json> value) {
  answers_.push_back({.request = request, .value = std::move(value)});
  answer_soon();
}

void DocumentSession::end_watch(std::uint64_t number, Error error) {
  watches_.erase(number);
  answers_.push_back({.handler = "watched", .request = number, .value = fail(std::move(error))});
  answer_soon();
}

std::uint64_t DocumentSession::begin_call(std::uint64_t request) {
  calls_[++last_call_] = {request, g_get_monotonic_time() + gint64{seconds_for_a_call} * G_USEC_PER_SEC};
  watch_deadlines();
  return last_call_;
}

void DocumentSession::watch_deadlines() {
  if (deadline_ != 0 || calls_.empty()) return;
  const gint64 left = std::max<gint64>(calls_.begin()->second.deadline - g_get_monotonic_time(), 0);
  const auto passed = [](gpointer data) -> gboolean {
    auto* session = static_cast<DocumentSession*>(data);
    session->deadline_ = 0;
    session->on_deadline();
    return G_SOURCE_REMOVE;
  };
  deadline_ = g_timeout_add(static_cast<guint>(left / 1000 + 1), passed, this);
}

void DocumentSession::on_deadline() {
  while (!calls_.empty() && calls_.begin()->second.deadline <= g_get_monotonic_time()) {
    answer(calls_.begin()->second.request,
           fail(Errc::timed_out,
                "memiod has not answered within " + std::to_string(seconds_for_a_call) + " seconds; is it stopped?"));
    calls_.erase(calls_.begin());
  }
  watch_deadlines();
}

void DocumentSession::answer_soon() {
  if (answering_soon_) return;
  answering_soon_ = true;
  using Weak = std::weak_ptr<DocumentSession>;
  g_idle_add_full(
      G_PRIORITY_DEFAULT,
      [](gpointer data) -> gboolean {
        try {
          if (const auto session = static_cast<Weak*>(data)->lock()) session->deliver_answers();
        } catch (const std::exception& error) {
          g_warning("memio: %s", error.what());
        }
        return G_SOURCE_REMOVE;
      },
      new Weak(weak_from_this()), [](gpointer data) { delete static_cast<Weak*>(data); });
}

void DocumentSession::on_dispatched() {
  if (!answers_.empty()) deliver_answers();
}

void DocumentSession::deliver_answers() {
  answering_soon_ = false;
  // The page's code runs in between and may ask, close and leave.
  auto answers = std::move(answers_);
  answers_.clear();
  const std::uint64_t life = life_;
  for (const auto& answer : answers) {
    tell(answer);
    if (life != life_) return;
  }
}

void DocumentSession::tell(const Answer& answer) {
  const JsValue target = handlers();
  if (!target) return;
  JSCContext* context = jsc_value_get_context(target.get());
  const std::string error(answer.value ? "" : answer.value.error().name());
  const JsValue given = to_given(context, answer);
  const JsValue result(jsc_value_object_invoke_method(target.get(), answer.handler, G_TYPE_DOUBLE,
                                                      static_cast<double>(answer.request), G_TYPE_STRING, error.c_str(),
                                                      JSC_TYPE_VALUE, given.get(), G_TYPE_NONE));
  jsc_context_clear_exception(context);
}

void DocumentSession::on_watch(Token token) {
  const auto found = watches_.find(token.value);
  if (found == watches_.end() || !found->second) return;
  // All of it first: the page's code runs while it is told, and may end the watch.
  std::vector<Result<Json>> events;
  for (;;) {
    auto event = found->second->watcher.next();
    if (event && !*event) break;
    events.push_back(event ? Result<Json>(protocol::to_json(
                                 protocol::WatchReply{(*event)->kind, (*event)->region, (*event)->version}))
                           : fail(event.error()));
    if (event) continue;
    watches_.erase(found);
    break;
  }
  const std::uint64_t life = life_;
  for (const auto& event : events) {
    tell({.handler = "watched", .request = token.value, .value = event});
    if (life != life_) return;
  }
}

void DocumentSession::on_changed(Token token) {
  const auto found = regions_.find(token.value);
  if (found == regions_.end()) return;
  // The page's code may close the region meanwhile.
  const JsValue changed = share(found->second.changed.get());
  const JsValue result(jsc_value_function_callv(changed.get(), 0, nullptr));
  jsc_context_clear_exception(jsc_value_get_context(changed.get()));
}

void DocumentSession::tell(const char* handler) {
  const JsValue target = handlers();
  if (!target) return;
  const JsValue result(jsc_value_object_invoke_method(target.get(), handler, G_TYPE_NONE));
  jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

// Open regions go on working meanwhile, doorbells included.
void DocumentSession::on_disconnected() {
  ask_again_delay_ = 0;
  ask_again_later();
  tell("disconnected");
}

void DocumentSession::on_reconnected() { tell("reconnected"); }

JsValue DocumentSession::handlers() const {
  return JsValue(handlers_ ? jsc_weak_value_get_value(handlers_.get()) : nullptr);
}

}  // namespace memio::webext

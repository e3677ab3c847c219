// SPDX-License-Identifier: MIT
#include "document_session.h"

#include <gio/gunixfdlist.h>

#include "../common/messages.h"
#include "native_functions.h"

extern "C" {
#include "memio_runtime_resource.h"  // generated C
}

namespace memio::webext {

namespace {

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
  answers_.clear();
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
    link_came(fail(Errc::disconnected, "the document has been left"));
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
        session->link_came(fail(Errc::disconnected, std::string("the application does not serve this web view: ") +
                                                        error->message + " (it calls memio_webkit_attach_view)"));
        return;
      }
      auto socket = read_answer(message.get());
      session->link_came(socket ? Link::make(std::move(*socket), session) : fail(std::move(socket.error())));
    } catch (const std::exception& failure) {
      g_warning("memio: %s", failure.what());
    }
  };
  WebKitUserMessage* question = webkit_user_message_new(connect_message, g_variant_new(connect_type, address_.c_str()));
  webkit_web_page_send_message_to_view(page_.get(), question, nullptr, answered, new Asked{weak_from_this(), life_});
}

void DocumentSession::link_came(Result<std::shared_ptr<Link>> link) {
  connecting_ = false;
  if (link) link_ = *link;
  auto waiting = std::move(waiting_for_link_);
  waiting_for_link_.clear();
  for (const auto& use : waiting) use(link);
}

// --- answers and events ---

void DocumentSession::answer(std::uint64_t request, Result<Json> value) {
  answers_.push_back({request, std::move(value)});
  answer_soon();
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

void DocumentSession::on_dispatched() { deliver_answers(); }

void DocumentSession::deliver_answers() {
  answering_soon_ = false;
  // The page's code runs in between and may ask, close and leave.
  auto answers = std::move(answers_);
  answers_.clear();
  const std::uint64_t life = life_;
  for (const auto& [request, value] : answers) {
    const JsValue target = handlers();
    if (!target || life != life_) return;
    JSCContext* context = jsc_value_get_context(target.get());
    const std::string error(value ? "" : value.error().name());
    const JsValue given =
        value ? to_js(context, *value) : JsValue(jsc_value_new_string(context, sentence_of(value.error()).c_str()));
    const JsValue result(jsc_value_object_invoke_method(target.get(), "settle", G_TYPE_DOUBLE,
                                                        static_cast<double>(request), G_TYPE_STRING, error.c_str(),
                                                        JSC_TYPE_VALUE, given.get(), G_TYPE_NONE));
    jsc_context_clear_exception(context);
  }
}

void DocumentSession::on_changed(Token token) {
  const JsValue target = handlers();
  if (!target || !regions_.contains(token.value)) return;
  const JsValue result(jsc_value_object_invoke_method(target.get(), "changed", G_TYPE_DOUBLE,
                                                      static_cast<double>(token.value), G_TYPE_NONE));
  jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

// The next request asks for a new connection; open regions keep the old one, whose doorbells go on ringing.
void DocumentSession::on_disconnected() {
  if (link_ && !link_->client().connected()) link_.reset();
}

JsValue DocumentSession::handlers() const {
  return JsValue(handlers_ ? jsc_weak_value_get_value(handlers_.get()) : nullptr);
}

}  // namespace memio::webext

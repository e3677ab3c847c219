// SPDX-License-Identifier: MIT
#include "extension.h"

#include <algorithm>
#include <string_view>

#include "../common/messages.h"

namespace memio::webext {

namespace {

// The document's origin, and those of the frames around it, the main frame's last. A document can be less than its
// address: a sandboxed one has an origin of its own, "null". No script of the page has run yet; a window that was there
// before its document, as an iframe's can be, only scripts of the same origin may have touched.
std::string origins_text(JSCContext* context) {
  const JsValue origins(
      jsc_context_evaluate(context, "[self.origin, ...Array.from(location.ancestorOrigins)].join(' ')", -1));
  const CharPtr text(origins ? jsc_value_to_string(origins.get()) : nullptr);
  return text ? text.get() : "null";
}

std::optional<FrameAddress> main_frame(Origin origin, std::string_view actual) {
  // Of files the text is "null" or not, as the settings will have it; a main frame of a file is never sandboxed.
  if (origin.scheme != "file" && actual == "null") return std::nullopt;
  return FrameAddress{std::move(origin), {}};
}

std::optional<FrameAddress> inner_frame(Origin origin, std::string_view texts) {
  FrameAddress frame{std::move(origin), {}};
  bool own = true;
  while (!texts.empty()) {
    const auto end = std::min(texts.find(' '), texts.size());
    auto actual = Origin::of_uri(std::string(texts.substr(0, end)).c_str());
    if (!actual) return std::nullopt;
    if (!own) frame.around.push_back(std::move(*actual));
    own = false;
    texts.remove_prefix(std::min(end + 1, texts.size()));
  }
  return frame.around.empty() ? std::nullopt : std::optional(std::move(frame));
}

}  // namespace

Extension::Extension(GVariant* user_data) {
  if (!user_data || !g_variant_is_of_type(user_data, G_VARIANT_TYPE_VARDICT)) return;
  const VariantPtr rules(g_variant_lookup_value(user_data, rules_key, G_VARIANT_TYPE_ARRAY));
  if (!rules) return;
  for (gsize i = 0; i < g_variant_n_children(rules.get()); ++i) {
    const VariantPtr child(g_variant_get_child_value(rules.get(), i));
    if (auto rule = to_document_rule(child.get())) rules_.push_back(std::move(*rule));
  }
}

Extension::~Extension() = default;

void Extension::window_object_cleared(WebKitScriptWorld* world, WebKitWebPage* page, WebKitFrame* frame) {
  leave_documents_of(frame);
  if (!may_be_granted(frame)) return;
  const ObjectPtr<JSCContext> context(webkit_frame_get_js_context_for_script_world(frame, world));
  const auto options = context ? look_up(frame, context.get()) : std::nullopt;
  if (!options) return;
  auto session = DocumentSession::start(page, frame, context.get(), *options);
  if (!session) return;
  sessions_.push_back(session);
  listen_to(page);
}

void Extension::listen_to(WebKitWebPage* page) {
  constexpr const char* listening_key = "memio-listening";
  if (g_object_get_data(G_OBJECT(page), listening_key)) return;
  g_object_set_data(G_OBJECT(page), listening_key, this);
  const auto came = +[](WebKitWebPage* to, WebKitUserMessage* message, gpointer data) -> gboolean {
    try {
      return static_cast<Extension*>(data)->deliver(to, message);
    } catch (const std::exception& error) {
      g_warning("memio: %s", error.what());
      return FALSE;
    }
  };
  g_signal_connect(page, "user-message-received", G_CALLBACK(came), this);
}

// A message for a document that is not there is answered by WebKit: nobody has handled it.
bool Extension::deliver(WebKitWebPage* page, WebKitUserMessage* message) {
  const auto frame = DocumentSession::frame_of(message);
  if (!frame) return false;
  for (const auto& weak : sessions_) {
    const auto session = weak.lock();
    if (!session || !session->shows_in(page, *frame)) continue;
    session->host_message(message);
    return true;
  }
  return false;
}

// The documents before this one are gone, or kept for going back: either way their memory is not.
void Extension::leave_documents_of(WebKitFrame* frame) {
  for (const auto& weak : sessions_)
    if (const auto session = weak.lock(); session && session->frame() == frame) session->suspend();
  std::erase_if(sessions_, [](const auto& weak) { return weak.expired(); });
}

bool Extension::may_be_granted(WebKitFrame* frame) const {
  const auto origin = Origin::of_uri(webkit_frame_get_uri(frame));
  const bool inside = !webkit_frame_is_main_frame(frame);
  return origin && std::ranges::any_of(rules_, [&](const auto& rule) { return rule.frames.is_for(*origin, inside); });
}

std::optional<DocumentOptions> Extension::look_up(WebKitFrame* frame, JSCContext* context) const {
  auto origin = Origin::of_uri(webkit_frame_get_uri(frame));
  if (!origin) return std::nullopt;
  const auto address = webkit_frame_is_main_frame(frame) ? main_frame(std::move(*origin), origins_text(context))
                                                         : inner_frame(std::move(*origin), origins_text(context));
  return address ? options_of(rules_, *address) : std::nullopt;
}

}  // namespace memio::webext

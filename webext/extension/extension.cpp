// SPDX-License-Identifier: MIT
#include "extension.h"

#include <algorithm>

#include "../common/messages.h"

namespace memio::webext {

namespace {

// A document can be less than its URI: sandboxed ones have an origin of their own, "null".
bool is_opaque(JSCContext* context) {
  const JsValue origin(jsc_context_evaluate(context, "self.origin", -1));
  const CharPtr text(origin ? jsc_value_to_string(origin.get()) : nullptr);
  return !text || std::string_view(text.get()) == "null";
}

}  // namespace

Extension::Extension(GVariant* user_data) {
  if (!user_data || !g_variant_is_of_type(user_data, G_VARIANT_TYPE_VARDICT)) return;
  const VariantPtr origins(g_variant_lookup_value(user_data, origins_key, G_VARIANT_TYPE_STRING_ARRAY));
  if (!origins) return;
  GVariantIter iterator;
  g_variant_iter_init(&iterator, origins.get());
  for (const char* text = nullptr; g_variant_iter_next(&iterator, "&s", &text);)
    if (auto pattern = OriginPattern::parse(text)) origins_.push_back(std::move(*pattern));
}

Extension::~Extension() = default;

void Extension::window_object_cleared(WebKitScriptWorld* world, WebKitWebPage* page, WebKitFrame* frame) {
  if (!webkit_frame_is_main_frame(frame)) return;
  // The document before this one is gone, or kept for going back: either way its memory is not.
  if (const auto found = pages_.find(page); found != pages_.end() && found->second) {
    found->second->suspend();
    found->second.reset();
  }
  const ObjectPtr<JSCContext> context(webkit_frame_get_js_context_for_script_world(frame, world));
  if (!context || !has_grants(frame, context.get())) return;
  watch(page);
  pages_[page] = DocumentSession::start(page, context.get());
}

bool Extension::has_grants(WebKitFrame* frame, JSCContext* context) const {
  const auto origin = Origin::of_uri(webkit_frame_get_uri(frame));
  if (!origin || (origin->scheme != "file" && is_opaque(context))) return false;
  return std::any_of(origins_.begin(), origins_.end(), [&](const auto& pattern) { return pattern.matches(*origin); });
}

void Extension::watch(WebKitWebPage* page) {
  if (pages_.contains(page)) return;
  pages_[page] = nullptr;
  const auto gone = +[](gpointer data, GObject* object) {
    auto& pages = static_cast<Extension*>(data)->pages_;
    const auto found = pages.find(reinterpret_cast<WebKitWebPage*>(object));
    if (found == pages.end()) return;
    if (found->second) found->second->suspend();
    pages.erase(found);
  };
  g_object_weak_ref(G_OBJECT(page), gone, this);
}

}  // namespace memio::webext

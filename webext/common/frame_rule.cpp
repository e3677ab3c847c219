// SPDX-License-Identifier: MIT
#include "frame_rule.h"

#include <algorithm>
#include <array>

namespace memio::webext {

namespace {

constexpr std::array<std::string_view, 2> compatibility_layers = {"memio-tauri", "webview2"};

bool any_matches(const std::vector<OriginPattern>& patterns, const Origin& origin) noexcept {
  return std::ranges::any_of(patterns, [&](const auto& pattern) { return pattern.matches(origin); });
}

GVariant* to_variant(const std::vector<OriginPattern>& patterns) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (const auto& pattern : patterns) g_variant_builder_add(&builder, "s", pattern.text().c_str());
  return g_variant_builder_end(&builder);
}

GVariant* to_variant(const std::vector<std::string>& texts) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (const auto& text : texts) g_variant_builder_add(&builder, "s", text.c_str());
  return g_variant_builder_end(&builder);
}

// What is no pattern is left out, so that it matches nothing.
std::vector<OriginPattern> read_patterns(GVariantIter* texts) {
  std::vector<OriginPattern> patterns;
  for (const char* text = nullptr; g_variant_iter_next(texts, "&s", &text);)
    if (auto pattern = OriginPattern::parse(text)) patterns.push_back(std::move(*pattern));
  return patterns;
}

void add_missing(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const auto& text : from)
    if (std::ranges::find(to, text) == to.end()) to.push_back(text);
}

}  // namespace

bool is_compatibility_layer(std::string_view name) noexcept {
  return std::ranges::find(compatibility_layers, name) != compatibility_layers.end();
}

std::string compatibility_layers_text() {
  std::string text;
  for (const auto name : compatibility_layers) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

bool FrameRule::is_for(const Origin& origin, bool inside) const noexcept {
  if (frames == (inside ? Frames::main : Frames::inside)) return false;
  if (inside && origin.scheme == "file") return false;
  return any_matches(origins, origin);
}

bool FrameRule::matches(const FrameAddress& frame) const noexcept {
  return is_for(frame.origin, !frame.around.empty()) &&
         std::ranges::all_of(frame.around, [&](const Origin& origin) { return any_matches(within, origin); });
}

GVariant* to_variant(const DocumentRule& rule) {
  return g_variant_new("(@asy@asb@asb)", to_variant(rule.frames.origins), static_cast<guchar>(rule.frames.frames),
                       to_variant(rule.frames.within), static_cast<gboolean>(rule.grants),
                       to_variant(rule.options.compatibility), static_cast<gboolean>(rule.options.workers));
}

std::optional<DocumentRule> to_document_rule(GVariant* variant) {
  if (!g_variant_is_of_type(variant, G_VARIANT_TYPE(document_rule_type))) return std::nullopt;
  GVariantIter* origins = nullptr;
  GVariantIter* within = nullptr;
  GVariantIter* compatibility = nullptr;
  guchar frames = 0;
  gboolean grants = FALSE;
  gboolean workers = FALSE;
  g_variant_get(variant, document_rule_type, &origins, &frames, &within, &grants, &compatibility, &workers);
  DocumentRule rule{{read_patterns(origins), static_cast<Frames>(frames), read_patterns(within)}, grants != FALSE, {}};
  for (const char* text = nullptr; g_variant_iter_next(compatibility, "&s", &text);)
    rule.options.compatibility.emplace_back(text);
  rule.options.workers = workers != FALSE;
  for (GVariantIter* iterator : {origins, within, compatibility}) g_variant_iter_free(iterator);
  if (frames > static_cast<guchar>(Frames::all)) return std::nullopt;
  return rule;
}

std::optional<DocumentOptions> options_of(const std::vector<DocumentRule>& rules, const FrameAddress& frame) {
  DocumentOptions options;
  bool granted = false;
  for (const auto& rule : rules) {
    if (!rule.frames.matches(frame)) continue;
    granted = granted || rule.grants;
    options.workers = options.workers || rule.options.workers;
    add_missing(options.compatibility, rule.options.compatibility);
  }
  return granted ? std::optional(std::move(options)) : std::nullopt;
}

}  // namespace memio::webext

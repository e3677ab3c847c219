// SPDX-License-Identifier: MIT
#pragma once

// Which frames of which pages a rule of the policy is for, and what the web process has to know of a rule. Both
// processes decide by this code: the extension, so that frames without grants notice nothing, and the application,
// whose word counts.

#include <glib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "origin.h"

namespace memio::webext {

// Main frames, frames inside a page, or both.
enum class Frames : std::uint8_t { main, inside, all };

// Where a frame is: its own origin, and those of the frames around it, the main frame's last. A main frame has none
// around it.
struct FrameAddress {
  Origin origin;
  std::vector<Origin> around;
};

struct FrameRule {
  std::vector<OriginPattern> origins;
  Frames frames = Frames::main;
  std::vector<OriginPattern> within;  // what the origin of every frame around a frame inside a page has to match

  // Whether it is for such frames at all, wherever they are. Frames of files are meant only as main frames: inside a
  // page WebKit does not tell them from sandboxed ones.
  [[nodiscard]] bool is_for(const Origin& origin, bool inside) const noexcept;
  [[nodiscard]] bool matches(const FrameAddress& frame) const noexcept;
};

// What the application turns on for a document besides grants. Both are carried through to the injected runtime.
struct DocumentOptions {
  std::vector<std::string> compatibility;  // names of layers, each at most once
  bool workers = false;
};

bool is_compatibility_layer(std::string_view name) noexcept;
std::string compatibility_layers_text();  // their names, for error messages

// What the extension learns of one rule.
struct DocumentRule {
  FrameRule frames;
  bool grants = false;  // whether it grants anything
  DocumentOptions options;
};

// One rule as a GVariant, and back; what is no rule is none.
inline constexpr const char* document_rule_type = "(asyasbasb)";
GVariant* to_variant(const DocumentRule& rule);  // floating
std::optional<DocumentRule> to_document_rule(GVariant* variant);

// The options of all rules that match; none if no rule that matches grants anything.
std::optional<DocumentOptions> options_of(const std::vector<DocumentRule>& rules, const FrameAddress& frame);

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
// Random text as a policy's file. What is refused is refused with a place and a reason that can be shown; what is
// accepted grants something, and a web process can be told of it.

#include <glib.h>

#include "app/policy_file.h"
#include "fuzz.h"

using memio::fuzz::require;
using namespace memio::webext;  // NOLINT(google-build-using-namespace)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto rules = parse_policy({reinterpret_cast<const char*>(data), size});
  if (!rules) {
    const auto& message = rules.error().message;
    require(message.find(": ") != message.npos &&
            g_utf8_validate(message.data(), static_cast<gssize>(message.size()), nullptr));
    return 0;
  }
  require(!rules->empty());
  for (const auto& rule : *rules) {
    require(!rule.frames.origins.empty() && !rule.grants.empty());
    require((rule.frames.frames == Frames::main) == rule.frames.within.empty());
    GVariant* variant = g_variant_ref_sink(to_variant(DocumentRule{rule.frames, true, rule.options}));
    const auto told = to_document_rule(variant);
    g_variant_unref(variant);
    require(told && told->grants && told->frames.origins.size() == rule.frames.origins.size() &&
            told->frames.within.size() == rule.frames.within.size() && told->frames.frames == rule.frames.frames);
    require(told->options.compatibility == rule.options.compatibility && told->options.workers == rule.options.workers);
  }
  return 0;
}

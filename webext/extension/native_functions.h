// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "../common/frame_rule.h"
#include "js_values.h"

namespace memio::webext {

class DocumentSession;

// The object whose members are the session's functions and the document's options, as webext/js/src/native.ts declares
// it. Each function holds the session, and turns what goes wrong in it, exceptions included, into an {error, message}.
JsValue make_native(JSCContext* context, const std::shared_ptr<DocumentSession>& session,
                    const DocumentOptions& options);

}  // namespace memio::webext

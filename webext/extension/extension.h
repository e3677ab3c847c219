// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "../common/origin.h"
#include "document_session.h"

namespace memio::webext {

// The web process extension: decides which documents get a session, and ends them. Lives as long as the web process.
class Extension {
 public:
  // `user_data` is what the application gave as initialization user data; may be null or anything.
  explicit Extension(GVariant* user_data);
  ~Extension();
  Extension(const Extension&) = delete;
  Extension& operator=(const Extension&) = delete;

  // A frame has a new document, and none of its scripts has run.
  void window_object_cleared(WebKitScriptWorld* world, WebKitWebPage* page, WebKitFrame* frame);

 private:
  [[nodiscard]] bool has_grants(WebKitFrame* frame, JSCContext* context) const;
  void watch(WebKitWebPage* page);

  std::vector<OriginPattern> origins_;
  // The main frame's present document; null where that has no grants.
  std::map<WebKitWebPage*, std::shared_ptr<DocumentSession>> pages_;
};

}  // namespace memio::webext

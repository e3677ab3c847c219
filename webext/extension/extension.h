// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "../common/frame_rule.h"
#include "document_session.h"

namespace memio::webext {

// The web process extension: decides which documents get a session, and ends the one before in the same frame. Lives as
// long as the web process.
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
  void leave_documents_of(WebKitFrame* frame);
  // Whether any rule is for the frame's address. Asks nothing of the document, so that others notice nothing.
  bool may_be_granted(WebKitFrame* frame) const;
  // Has the application's messages to this page come to deliver().
  void listen_to(WebKitWebPage* page);
  bool deliver(WebKitWebPage* page, WebKitUserMessage* message);
  // What is turned on for a document; none if it has no grants.
  std::optional<DocumentOptions> look_up(WebKitFrame* frame, JSCContext* context) const;

  std::vector<DocumentRule> rules_;
  // Of all documents whose JavaScript is still there, those that were left included.
  std::vector<std::weak_ptr<DocumentSession>> sessions_;
};

}  // namespace memio::webext

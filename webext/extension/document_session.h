// SPDX-License-Identifier: MIT
#pragma once

// What one document has of memio: its connection, its regions, and their memory laid under its array buffers.
//
// Life. It starts at window-object-cleared, if a rule of the policy matches the frame, by evaluating the runtime
// (webext/js), which gets the native functions as arguments and gives its handlers back. It connects when the page
// first asks for something. It is suspended, and everything in it closed, at `pagehide`, at the next document of the
// frame and when the frame or its page is gone, whichever comes first; `pageshow` from the back-forward cache wakes it
// again. The native
// functions hold it, so it ends with the document's JavaScript; it holds nothing of that but weakly, except for the
// buffers of open regions.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../common/frame_rule.h"
#include "alias.h"
#include "gone.h"
#include "js_values.h"
#include "link.h"

namespace memio::webext {

class DocumentSession : public LinkListener, public std::enable_shared_from_this<DocumentSession> {
 public:
  // Starts the runtime in `context`, in which no script of the page has run yet. Null if JavaScript has no memory for
  // it.
  static std::shared_ptr<DocumentSession> start(WebKitWebPage* page, WebKitFrame* frame, JSCContext* context,
                                                const DocumentOptions& options);

  DocumentSession(WebKitWebPage* page, WebKitFrame* frame);
  ~DocumentSession() override;
  DocumentSession(const DocumentSession&) = delete;
  DocumentSession& operator=(const DocumentSession&) = delete;

  // The frame that showed the document, or shows it; null once that is gone.
  [[nodiscard]] WebKitFrame* frame() const noexcept { return frame_.get(); }

  // Closes everything: leases, handles, connection; what was laid under buffers is gone when it returns.
  void suspend() noexcept;

  // Which frame a message of the application's is for (0: the main one), if it is a shared buffer or a web message.
  static std::optional<std::uint64_t> frame_of(WebKitUserMessage* message);
  // Whether the document is the one that this frame of the page shows now.
  [[nodiscard]] bool shows_in(WebKitWebPage* page, std::uint64_t frame) const noexcept;
  // Takes such a message.
  void host_message(WebKitUserMessage* message);

  // What the runtime calls (webext/js/src/native.ts). The value it gets back; null stands for undefined.
  JsValue open(JSCContext* context, const Arguments& arguments);
  JsValue create(JSCContext* context, const Arguments& arguments);
  JsValue list(JSCContext* context, const Arguments& arguments);
  JsValue stat(JSCContext* context, const Arguments& arguments);
  JsValue remove(JSCContext* context, const Arguments& arguments);
  JsValue watch(JSCContext* context, const Arguments& arguments);
  JsValue unwatch(JSCContext* context, const Arguments& arguments);
  // These seven, in document_memory.cpp, lay memory under buffers.
  JsValue alias(JSCContext* context, const Arguments& arguments);
  JsValue share_memory(JSCContext* context, const Arguments& arguments);
  JsValue lay_stream(JSCContext* context, const Arguments& arguments);
  JsValue map_into(JSCContext* context, const Arguments& arguments);
  JsValue unmap(JSCContext* context, const Arguments& arguments);
  JsValue window(JSCContext* context, const Arguments& arguments);
  JsValue mend(JSCContext* context, const Arguments& arguments);
  JsValue begin(JSCContext* context, const Arguments& arguments);
  JsValue commit(JSCContext* context, const Arguments& arguments);
  JsValue abort(JSCContext* context, const Arguments& arguments);
  JsValue subscribe(JSCContext* context, const Arguments& arguments);
  JsValue wake(JSCContext* context, const Arguments& arguments);
  JsValue close(JSCContext* context, const Arguments& arguments);
  // These three are in document_streams.cpp.
  JsValue join_stream(JSCContext* context, const Arguments& arguments);
  JsValue ring_other(JSCContext* context, const Arguments& arguments);
  JsValue other_lives(JSCContext* context, const Arguments& arguments);
  // These are in document_mail.cpp.
  JsValue call(JSCContext* context, const Arguments& arguments);
  JsValue cancel_call(JSCContext* context, const Arguments& arguments);
  JsValue handle(JSCContext* context, const Arguments& arguments);
  JsValue unhandle(JSCContext* context, const Arguments& arguments);
  JsValue answer_call(JSCContext* context, const Arguments& arguments);
  JsValue reject_call(JSCContext* context, const Arguments& arguments);
  JsValue emit(JSCContext* context, const Arguments& arguments);
  JsValue listen(JSCContext* context, const Arguments& arguments);
  JsValue unlisten(JSCContext* context, const Arguments& arguments);
  JsValue taken(JSCContext* context, const Arguments& arguments);
  JsValue refuse_post(JSCContext* context, const Arguments& arguments);
  JsValue post_web_message(JSCContext* context, const Arguments& arguments);
  JsValue leave(JSCContext* context, const Arguments& arguments);      // native.suspend()
  JsValue come_back(JSCContext* context, const Arguments& arguments);  // native.resume()

  void on_changed(Token token) override;
  void on_watch(Token token) override;
  void on_call(Token token) override;
  void on_call_cancelled(Token token) override;
  void on_message(Token token) override;
  void on_disconnected() override;
  void on_reconnected() override;
  void on_dispatched() override;

 private:
  struct OpenedRegion {
    std::shared_ptr<Link> link;
    Region region;
    // Those of a stream's buffers, if this is its ring; and which side of it is here. All lie in `slots`.
    std::vector<Region> buffers;
    bool writes = false;
    std::optional<Alias> control;  // for a worker's handle none: all of it is in `slots`
    StoreNote* note = nullptr;     // in memory of the buffer of `control`, or of `slots` if there is none
    std::optional<Alias> slots;
    std::map<std::uint64_t, Alias> mappings;  // of the slots, into memories of wasm modules
    JsValue changed;                          // the runtime's function for publishes, once it has subscribed
    JsValue nothing;  // what that gives back: WebKit would make it an object of its own each time

    // The region with this side's cell, whose doorbell wakes the other side of a stream; and the one the other way
    // round.
    Region& own();
    Region& others();
  };
  // What a command has answered.
  struct Called {
    std::shared_ptr<Link> link;
    std::string json;
    std::vector<Attachment> attachments;
  };
  // An answer on its way to the runtime, to its handler of that name.
  struct Answer {
    const char* handler = "settle";
    std::uint64_t request = 0;
    Result<Json> value;
    std::shared_ptr<Called> called{};  // the value, if it is that of a command
  };
  // A call to memiod that has not been answered.
  struct Unanswered {
    std::uint64_t request = 0;
    gint64 deadline = 0;  // by g_get_monotonic_time()
  };
  // Uses the connection, or learns why there is none.
  using UseLink = std::function<void(Result<std::shared_ptr<Link>>)>;

  // The number of the request that `arguments` start with; 0 if the runtime gave none, which it never does.
  static std::uint64_t request_of(const Arguments& arguments);

  // Calls `use` with the connection as soon as there is one. Never from within itself.
  void with_link(UseLink use);
  void ask_for_link();
  void socket_came(Result<UniqueFd> socket);
  // Makes the first connection, or renews the one that was lost.
  Result<void> use_socket(UniqueFd socket);
  void ask_again_later();

  // A Done for Client::..._async that answers `request`. Nothing happens if the document has been left in between.
  template <class T>
  Client::Done<T> answer_to(std::uint64_t request, const std::shared_ptr<Link>& link);
  // Makes one of Client's ..._async calls and answers with its result: `method` is called with the Client, `subject` (a
  // name or a pattern) and the Done. A subject that is an error is the answer itself.
  template <class T, class Call>
  JsValue ask(const Arguments& arguments, Result<std::string> subject, Call method);
  // Answers as soon as nobody is in the middle of anything.
  void answer(std::uint64_t request, Result<Json> value);
  // A call begins, and has its number; it ends, which is false if it took too long and was answered so.
  std::uint64_t begin_call(std::uint64_t request);
  bool end_call(std::uint64_t call) noexcept { return calls_.erase(call) > 0; }
  void watch_deadlines();
  void on_deadline();
  // The end of a watch.
  void end_watch(std::uint64_t number, Error error);
  void answer_soon();
  void deliver_answers();
  Result<Json> adopt_region(std::shared_ptr<Link> link, Region region);
  OpenedRegion* find(const Arguments& arguments);
  // The same, if it is a stream's ring whose buffers are there.
  OpenedRegion* find_stream(const Arguments& arguments);
  // What a call gets for a handle that is none, or none any more.
  static Error closed_handle();
  // Calls one of the runtime's handlers with a number and a value, or an error.
  void tell(const Answer& answer);
  // What it is given: the value, or what is to be said of the error.
  JsValue to_given(JSCContext* context, const Answer& answer);
  // What goes beside a value: bytes, and the handles of regions. Error: misuse.
  Result<std::vector<Attachment>> attachments_from(const Arguments& arguments, unsigned first);
  // The other way: an array. Regions are opened for the runtime.
  JsValue attachments_to_js(JSCContext* context, const std::shared_ptr<Link>& link,
                            std::vector<Attachment>& attachments);
  void tell_call(std::uint64_t number, std::uint64_t incoming, const std::shared_ptr<Link>& link);
  void tell_message(std::uint64_t number, const Message& message);
  void tell_number(const char* handler, std::uint64_t number);
  void tell_end(std::uint64_t number, const Error& error);  // of what it handled or listened to
  void window_gone(std::uint64_t handle) noexcept;
  void take_web_message(WebKitUserMessage* message, JSCValue* target);
  void take_wait(WebKitUserMessage* message, JSCValue* target);
  void take_post(WebKitUserMessage* message, JSCValue* target);
  void refuse_posts() noexcept;
  // The runtime's handlers, if the document still has them.
  JsValue handlers() const;
  void tell(const char* handler);

  UntilGone<WebKitWebPage> page_;
  UntilGone<WebKitFrame> frame_;
  std::string address_;  // of a frame inside a page; empty for a main frame
  ObjectPtr<JSCWeakValue> handlers_;
  bool suspended_ = false;
  // Counts suspensions: what was asked for before the latest one is no longer of interest.
  std::uint64_t life_ = 0;

  std::shared_ptr<Link> link_;
  bool connecting_ = false;
  std::vector<UseLink> waiting_for_link_;
  guint ask_again_ = 0;  // the timer's source
  guint ask_again_delay_ = 0;

  std::uint64_t last_handle_ = 0;
  std::map<std::uint64_t, OpenedRegion> regions_;  // by handle: our numbers, never used twice
  std::uint64_t last_call_ = 0;
  std::map<std::uint64_t, Unanswered> calls_;  // the oldest first
  guint deadline_ = 0;                         // the timer's source
  std::uint64_t last_mapping_ = 0;
  struct OpenedWatch {
    std::shared_ptr<Link> link;
    Watcher watcher;
  };
  // By the runtime's numbers; empty until they have begun.
  std::map<std::uint64_t, std::optional<OpenedWatch>> watches_;
  struct OpenedCommand {
    std::shared_ptr<Link> link;
    CommandHandler handler;
  };
  struct OpenedListener {
    std::shared_ptr<Link> link;
    Listener listener;
  };
  // By the runtime's numbers; empty until they have begun.
  std::map<std::uint64_t, std::optional<OpenedCommand>> commands_;
  std::map<std::uint64_t, std::optional<OpenedListener>> listeners_;
  // By request; empty until there is a connection.
  std::map<std::uint64_t, std::optional<PendingCall>> pending_calls_;
  std::uint64_t last_incoming_ = 0;
  std::map<std::uint64_t, CommandCall> calls_to_answer_;  // by numbers of ours
  // What the application has posted or waits for, and no script has yet.
  std::uint64_t last_post_ = 0;
  std::map<std::uint64_t, ObjectPtr<WebKitUserMessage>> posts_;
  std::vector<Answer> answers_;
  bool answering_soon_ = false;
};

}  // namespace memio::webext

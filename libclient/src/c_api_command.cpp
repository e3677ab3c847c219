// SPDX-License-Identifier: MIT
// The part of memio.h that is about commands and messages. No exception leaves a function of this file.

#include <optional>
#include <string>

#include "c_api.h"

struct memio_attachments {
  std::vector<memio::Attachment> all;
};
struct memio_answer {
  std::string result;
  memio_attachments attachments;
};
struct memio_pending {
  struct State {
    std::optional<memio::Result<memio::CallAnswer>> answer;
  };
  std::shared_ptr<State> state;
  memio::PendingCall call;
};
struct memio_handler {
  memio::CommandHandler handler;
};
struct memio_incoming {
  memio::CommandCall call;
  memio_attachments attachments;
};
struct memio_listener {
  memio::Listener listener;
  memio::Message last;  // what the message taken last points into
};

namespace {

using memio::Errc;
using memio::Error;
using memio::Result;
using memio::c_api::give;
using memio::c_api::give_nothing;
using memio::c_api::guarded;
using memio::c_api::report;

const char* or_null(const char* json) { return json ? json : "null"; }

std::vector<memio::Attachment> take_all(memio_attachments* attachments) {
  return attachments ? std::exchange(attachments->all, {}) : std::vector<memio::Attachment>();
}

memio::CallOptions options(int64_t timeout, memio_attachments* attachments) {
  return {.timeout = std::chrono::milliseconds(timeout), .attachments = take_all(attachments)};
}

int add(memio_attachments* to, Result<memio::Attachment> attachment) {
  if (!attachment) return report(attachment.error());
  to->all.push_back(std::move(*attachment));
  return MEMIO_OK;
}

// The attachment of that place; null if there is none, which is reported.
memio::Attachment* at(memio_attachments* attachments, size_t index) {
  if (index < attachments->all.size()) return &attachments->all[index];
  report(Error{Errc::misuse, 0, "there is no attachment " + std::to_string(index)});
  return nullptr;
}

int give_answer(Result<memio::CallAnswer> answer, memio_answer** out) {
  if (!answer) return report(answer.error());
  *out = new memio_answer{std::move(answer->result), {std::move(answer->attachments)}};
  return MEMIO_OK;
}

int give_call(memio::CommandCall call, memio_incoming** out) {
  auto attachments = std::exchange(call.attachments(), {});
  *out = new memio_incoming{std::move(call), {std::move(attachments)}};
  return 1;
}

int give_message(memio_listener* listener, memio::Message message, memio_message* out) {
  listener->last = std::move(message);
  *out = {listener->last.topic.c_str(), listener->last.payload.c_str(), listener->last.lost};
  return 1;
}

}  // namespace

int memio_attachments_new(memio_attachments** attachments) {
  return guarded([&] {
    *attachments = new memio_attachments;
    return static_cast<int>(MEMIO_OK);
  });
}
void memio_attachments_free(memio_attachments* attachments) { delete attachments; }
int memio_attachments_add_bytes(memio_attachments* attachments, const void* data, size_t length) {
  return guarded([&] {
    return add(attachments, memio::Attachment::of_bytes({static_cast<const std::byte*>(data), length}));
  });
}
int memio_attachments_add_region(memio_attachments* attachments, const memio_region* region) {
  return guarded([&] { return add(attachments, memio::Attachment::of_region(region->region)); });
}
int memio_attachments_add_fd(memio_attachments* attachments, int fd) {
  memio::UniqueFd owned(fd);
  return guarded([&] { return add(attachments, memio::Attachment::of_descriptor(std::move(owned))); });
}
size_t memio_attachments_length(const memio_attachments* attachments) { return attachments->all.size(); }
int memio_attachments_is_region(const memio_attachments* attachments, size_t index) {
  return index < attachments->all.size() && attachments->all[index].is_region() ? 1 : 0;
}
int memio_attachments_get_bytes(memio_attachments* attachments, size_t index, const void** data, size_t* length) {
  return guarded([&] {
    auto* attachment = at(attachments, index);
    if (!attachment) return static_cast<int>(MEMIO_MISUSE);
    auto bytes = attachment->bytes();
    if (!bytes) return report(bytes.error());
    *data = bytes->data();
    *length = bytes->size();
    return static_cast<int>(MEMIO_OK);
  });
}
int memio_attachments_take_region(memio_attachments* attachments, size_t index, memio_region** region) {
  return guarded([&] {
    auto* attachment = at(attachments, index);
    return attachment ? give(attachment->take_region(), region) : static_cast<int>(MEMIO_MISUSE);
  });
}
int memio_attachments_take_fd(memio_attachments* attachments, size_t index, int* fd) {
  return guarded([&] {
    auto* attachment = at(attachments, index);
    if (!attachment) return static_cast<int>(MEMIO_MISUSE);
    auto taken = attachment->take_descriptor();
    if (!taken) return report(taken.error());
    *fd = taken->release();
    return static_cast<int>(MEMIO_OK);
  });
}

int memio_call(memio_client* client, const char* name, const char* arguments, int64_t timeout,
               memio_attachments* attachments, memio_answer** answer) {
  return guarded([&] {
    return give_answer(client->client.call(name, or_null(arguments), options(timeout, attachments)), answer);
  });
}
const char* memio_answer_result(const memio_answer* answer) { return answer->result.c_str(); }
memio_attachments* memio_answer_attachments(memio_answer* answer) { return &answer->attachments; }
void memio_answer_free(memio_answer* answer) { delete answer; }

int memio_call_begin(memio_client* client, const char* name, const char* arguments, int64_t timeout,
                     memio_attachments* attachments, uint64_t token, memio_pending** pending) {
  return guarded([&] {
    auto state = std::make_shared<memio_pending::State>();
    // The client outlives what its own dispatch calls back.
    auto call =
        client->client.call_async(name, or_null(arguments), options(timeout, attachments),
                                  [client, token, weak = std::weak_ptr(state)](Result<memio::CallAnswer> answer) {
                                    const auto to = weak.lock();
                                    if (!to) return;
                                    to->answer.emplace(std::move(answer));
                                    client->answered.push_back(token);
                                  });
    *pending = new memio_pending{std::move(state), std::move(call)};
    return static_cast<int>(MEMIO_OK);
  });
}
int memio_pending_take(memio_pending* pending, memio_answer** answer) {
  return guarded([&] {
    if (!pending->state->answer) return 0;
    auto taken = std::move(*pending->state->answer);
    pending->state->answer.reset();
    const int code = give_answer(std::move(taken), answer);
    return code == MEMIO_OK ? 1 : code;
  });
}
void memio_pending_cancel(memio_pending* pending) { pending->call.cancel(); }
void memio_pending_free(memio_pending* pending) { delete pending; }

int memio_handle(memio_client* client, const char* name, uint64_t token, memio_handler** handler) {
  return guarded([&] { return give(client->client.handle(name, {token}), handler); });
}
void memio_handler_free(memio_handler* handler) { delete handler; }
int memio_handler_next(memio_handler* handler, memio_incoming** call) {
  return guarded([&] {
    auto next = handler->handler.next();
    if (!next) return report(next.error());
    return *next ? give_call(std::move(**next), call) : 0;
  });
}
int memio_handler_wait(memio_handler* handler, int64_t timeout, memio_incoming** call) {
  return guarded([&] {
    auto next = handler->handler.wait(std::chrono::milliseconds(timeout));
    if (!next) return report(next.error());
    return give_call(std::move(*next), call);
  });
}
const char* memio_incoming_name(const memio_incoming* call) { return call->call.name().c_str(); }
const char* memio_incoming_arguments(const memio_incoming* call) { return call->call.arguments().c_str(); }
memio_attachments* memio_incoming_attachments(memio_incoming* call) { return &call->attachments; }
int memio_incoming_cancelled(const memio_incoming* call) { return call->call.cancelled() ? 1 : 0; }
int memio_incoming_answer(memio_incoming* call, const char* result, memio_attachments* attachments) {
  return guarded([&] { return give_nothing(call->call.answer(or_null(result), take_all(attachments))); });
}
int memio_incoming_reject(memio_incoming* call, const char* error, const char* message, const char* details) {
  return guarded(
      [&] { return give_nothing(call->call.reject(error, message ? message : "", details ? details : "")); });
}
void memio_incoming_free(memio_incoming* call) { delete call; }

int memio_emit(memio_client* client, const char* topic, const char* payload) {
  return guarded([&] { return give_nothing(client->client.emit(topic, or_null(payload))); });
}
int memio_listen(memio_client* client, const char* pattern, uint64_t token, memio_listener** listener) {
  return guarded([&] {
    auto result = client->client.listen(pattern, {token});
    if (!result) return report(result.error());
    *listener = new memio_listener{std::move(*result), {}};
    return static_cast<int>(MEMIO_OK);
  });
}
void memio_listener_free(memio_listener* listener) { delete listener; }
int memio_listener_next(memio_listener* listener, memio_message* message) {
  return guarded([&] {
    auto next = listener->listener.next();
    if (!next) return report(next.error());
    return *next ? give_message(listener, std::move(**next), message) : 0;
  });
}
int memio_listener_wait(memio_listener* listener, int64_t timeout, memio_message* message) {
  return guarded([&] {
    auto next = listener->listener.wait(std::chrono::milliseconds(timeout));
    if (!next) return report(next.error());
    return give_message(listener, std::move(*next), message);
  });
}

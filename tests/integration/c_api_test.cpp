// SPDX-License-Identifier: MIT
// memio.h and memio-glib.h, through the shared libraries as other programs use them.

#include <fcntl.h>
#include <glib.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "memio-glib.h"
#include "memio.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

class CApi : public DaemonTest {
 protected:
  memio_client* client_ = nullptr;
  memio_region* region_ = nullptr;

  void SetUp() override {
    ASSERT_EQ(memio_connect(daemon_.socket_path().c_str(), &client_), MEMIO_OK) << memio_error_message();
    const memio_region_options options = {sizeof options, 64, 0, MEMIO_LAYOUT_64, MEMIO_SESSION, 0};
    ASSERT_EQ(memio_create(client_, "c", &options, &region_), MEMIO_OK) << memio_error_message();
  }
  void TearDown() override {
    memio_region_free(region_);
    memio_client_free(client_);
  }
};

TEST_F(CApi, WritesAndReads) {
  std::uint64_t sequence = 0;
  ASSERT_EQ(memio_region_write_version(region_, "hello", 5, 77, &sequence), MEMIO_OK);
  EXPECT_EQ(sequence, 1U);
  memio_snapshot* snapshot = nullptr;
  ASSERT_EQ(memio_region_read(region_, &snapshot), MEMIO_OK);
  EXPECT_EQ(std::string(static_cast<const char*>(memio_snapshot_data(snapshot)), memio_snapshot_length(snapshot)),
            "hello");
  EXPECT_EQ(memio_snapshot_version(snapshot), 77U);
  memio_snapshot_free(snapshot);
  ASSERT_EQ(memio_region_read_since(region_, 1, &snapshot), MEMIO_OK);
  EXPECT_EQ(snapshot, nullptr);

  void* data = nullptr;
  ASSERT_EQ(memio_region_begin(region_, 3, &data), MEMIO_OK);
  std::memcpy(data, "abc", 3);
  ASSERT_EQ(memio_region_commit(region_, nullptr), MEMIO_OK);
  char copy[64];
  size_t length = 0;
  std::uint64_t version = 0;
  ASSERT_EQ(memio_region_read_into(region_, copy, sizeof copy, &length, &version, &sequence), MEMIO_OK);
  EXPECT_EQ(std::string(copy, length), "abc");
  EXPECT_EQ(version, 78U);
  EXPECT_EQ(sequence, 2U);
}

TEST_F(CApi, CommandsAreCalledHandledAndRejected) {
  memio_client* other = nullptr;
  ASSERT_EQ(memio_connect(daemon_.socket_path().c_str(), &other), MEMIO_OK);
  memio_handler* handler = nullptr;
  ASSERT_EQ(memio_handle(other, "c", 7, &handler), MEMIO_OK) << memio_error_message();
  memio_incoming* call = nullptr;
  EXPECT_EQ(memio_handler_next(handler, &call), 0);
  EXPECT_EQ(memio_handler_wait(handler, 0, &call), MEMIO_TIMED_OUT);

  // This waits until the client receives, so that the call below is on its way at once.
  ASSERT_EQ(memio_emit(client_, "t", nullptr), MEMIO_OK) << memio_error_message();
  memio_attachments* attached = nullptr;
  ASSERT_EQ(memio_attachments_new(&attached), MEMIO_OK);
  ASSERT_EQ(memio_attachments_add_bytes(attached, "bytes", 5), MEMIO_OK);
  ASSERT_EQ(memio_attachments_add_region(attached, region_), MEMIO_OK);
  memio_pending* pending = nullptr;
  ASSERT_EQ(memio_call_begin(client_, "c", "[1,{\"$bytes\":0}]", -1, attached, 5, &pending), MEMIO_OK);
  EXPECT_EQ(memio_attachments_length(attached), 0U) << "they went along";
  memio_answer* answer = nullptr;
  EXPECT_EQ(memio_pending_take(pending, &answer), 0);

  memio_event event{};
  ASSERT_EQ(memio_wait(other, &event, 1, 20'000), 1);
  EXPECT_EQ(event.kind, MEMIO_CALL_ARRIVED);
  EXPECT_EQ(event.token, 7U);
  ASSERT_EQ(memio_handler_next(handler, &call), 1);
  EXPECT_STREQ(memio_incoming_name(call), "c");
  EXPECT_STREQ(memio_incoming_arguments(call), "[1,{\"$bytes\":0}]");
  EXPECT_EQ(memio_incoming_cancelled(call), 0);
  auto* came = memio_incoming_attachments(call);
  ASSERT_EQ(memio_attachments_length(came), 2U);
  EXPECT_EQ(memio_attachments_is_region(came, 0), 0);
  EXPECT_EQ(memio_attachments_is_region(came, 1), 1);
  const void* data = nullptr;
  size_t length = 0;
  ASSERT_EQ(memio_attachments_get_bytes(came, 0, &data, &length), MEMIO_OK) << memio_error_message();
  EXPECT_EQ(std::string(static_cast<const char*>(data), length), "bytes");
  EXPECT_EQ(memio_attachments_get_bytes(came, 2, &data, &length), MEMIO_MISUSE);
  memio_region* same = nullptr;
  ASSERT_EQ(memio_attachments_take_region(came, 1, &same), MEMIO_OK);
  EXPECT_STREQ(memio_region_get_info(same).name, "c");
  memio_region_free(same);
  ASSERT_EQ(memio_incoming_answer(call, "{}", nullptr), MEMIO_OK);
  EXPECT_EQ(memio_incoming_answer(call, "{}", nullptr), MEMIO_MISUSE);
  memio_incoming_free(call);

  ASSERT_EQ(memio_wait(client_, &event, 1, 20'000), 1);
  EXPECT_EQ(event.kind, MEMIO_CALL_ANSWERED);
  EXPECT_EQ(event.token, 5U);
  ASSERT_EQ(memio_pending_take(pending, &answer), 1);
  EXPECT_STREQ(memio_answer_result(answer), "{}");
  EXPECT_EQ(memio_attachments_length(memio_answer_attachments(answer)), 0U);
  memio_answer_free(answer);
  EXPECT_EQ(memio_pending_take(pending, &answer), 0) << "once";
  memio_pending_free(pending);

  ASSERT_EQ(memio_call_begin(client_, "c", nullptr, -1, nullptr, 6, &pending), MEMIO_OK);
  ASSERT_EQ(memio_handler_wait(handler, 20'000, &call), 1);
  EXPECT_STREQ(memio_incoming_arguments(call), "null");
  ASSERT_EQ(memio_incoming_reject(call, "TooDark", "nothing to be seen", "[1]"), MEMIO_OK);
  memio_incoming_free(call);
  ASSERT_EQ(memio_wait(client_, &event, 1, 20'000), 1);
  EXPECT_EQ(memio_pending_take(pending, &answer), MEMIO_COMMAND_FAILED);
  EXPECT_STREQ(memio_error_name(), "io.memio.CommandFailed");
  EXPECT_STREQ(memio_error_rejection(), "TooDark");
  EXPECT_STREQ(memio_error_details(), "[1]");
  memio_pending_cancel(pending);
  memio_pending_free(pending);

  memio_handler_free(handler);
  EXPECT_EQ(memio_call(client_, "none", nullptr, -1, nullptr, &answer), MEMIO_NO_SUCH_COMMAND);
  EXPECT_EQ(memio_error_rejection(), nullptr);
  memio_attachments_free(attached);
  memio_client_free(other);
}

class CApiCommands : public CApi {
 protected:
  memio_client* other_ = nullptr;
  memio_handler* handler_ = nullptr;

  void SetUp() override {
    CApi::SetUp();
    ASSERT_EQ(memio_connect(daemon_.socket_path().c_str(), &other_), MEMIO_OK) << memio_error_message();
    ASSERT_EQ(memio_handle(other_, "c", 7, &handler_), MEMIO_OK) << memio_error_message();
    // The client receives from now on, so that what it begins is on its way at once.
    ASSERT_EQ(memio_emit(client_, "t", nullptr), MEMIO_OK) << memio_error_message();
  }
  void TearDown() override {
    memio_handler_free(handler_);
    memio_client_free(other_);
    CApi::TearDown();
  }
  static void expect_event(memio_client* client, memio_event_kind kind, std::uint64_t token) {
    memio_event event{};
    ASSERT_EQ(memio_wait(client, &event, 1, 20'000), 1);
    EXPECT_EQ(event.kind, kind);
    EXPECT_EQ(event.token, token);
  }
};

TEST_F(CApiCommands, ACallWaitsForItsAnswerAndDescriptorsGoAlong) {
  // Answers with the descriptor that came.
  std::thread answering([&] {
    memio_incoming* call = nullptr;
    ASSERT_EQ(memio_handler_wait(handler_, 20'000, &call), 1) << memio_error_message();
    EXPECT_STREQ(memio_incoming_arguments(call), "{\"$descriptor\":0}");
    auto* came = memio_incoming_attachments(call);
    EXPECT_EQ(memio_attachments_length(came), 1U);
    EXPECT_EQ(memio_attachments_is_region(came, 0), 0);
    int fd = -1;
    EXPECT_EQ(memio_attachments_take_fd(came, 0, &fd), MEMIO_OK) << memio_error_message();
    EXPECT_EQ(memio_attachments_take_fd(came, 0, &fd), MEMIO_MISUSE) << "once";
    memio_attachments* back = nullptr;
    EXPECT_EQ(memio_attachments_new(&back), MEMIO_OK);
    EXPECT_EQ(memio_attachments_add_fd(back, fd), MEMIO_OK);
    EXPECT_EQ(memio_incoming_answer(call, "[{\"$descriptor\":0}]", back), MEMIO_OK) << memio_error_message();
    memio_attachments_free(back);
    memio_incoming_free(call);
  });
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  memio_attachments* attached = nullptr;
  ASSERT_EQ(memio_attachments_new(&attached), MEMIO_OK);
  ASSERT_EQ(memio_attachments_add_fd(attached, ends[1]), MEMIO_OK);
  memio_answer* answer = nullptr;
  ASSERT_EQ(memio_call(client_, "c", "{\"$descriptor\":0}", 20'000, attached, &answer), MEMIO_OK)
      << memio_error_message();
  answering.join();
  EXPECT_STREQ(memio_answer_result(answer), "[{\"$descriptor\":0}]");
  auto* came = memio_answer_attachments(answer);
  ASSERT_EQ(memio_attachments_length(came), 1U);
  int fd = -1;
  ASSERT_EQ(memio_attachments_take_fd(came, 0, &fd), MEMIO_OK) << memio_error_message();
  char read[4] = {};
  EXPECT_EQ(::write(fd, "xyz", 3), 3);
  EXPECT_EQ(::read(ends[0], read, 3), 3);
  EXPECT_STREQ(read, "xyz") << "it is the same pipe";
  ::close(fd);
  ::close(ends[0]);
  memio_answer_free(answer);
  memio_attachments_free(attached);
}

TEST_F(CApiCommands, ACallEndsWhenItsTimeIsOver) {
  memio_answer* answer = nullptr;
  EXPECT_EQ(memio_call(client_, "c", nullptr, 10, nullptr, &answer), MEMIO_CALL_TIMED_OUT);
  EXPECT_STREQ(memio_error_name(), "io.memio.CallTimedOut");
  memio_pending* pending = nullptr;
  ASSERT_EQ(memio_call_begin(client_, "c", nullptr, 10, nullptr, 5, &pending), MEMIO_OK);
  expect_event(client_, MEMIO_CALL_ANSWERED, 5);
  EXPECT_EQ(memio_pending_take(pending, &answer), MEMIO_CALL_TIMED_OUT);
  memio_pending_free(pending);
}

TEST_F(CApiCommands, ACallIsCancelledWhileItsHandlerHasIt) {
  memio_pending* pending = nullptr;
  ASSERT_EQ(memio_call_begin(client_, "c", "1", -1, nullptr, 5, &pending), MEMIO_OK);
  expect_event(other_, MEMIO_CALL_ARRIVED, 7);
  memio_incoming* call = nullptr;
  ASSERT_EQ(memio_handler_next(handler_, &call), 1);
  EXPECT_EQ(memio_incoming_cancelled(call), 0);
  memio_pending_cancel(pending);
  expect_event(other_, MEMIO_CALL_CANCELLED_EVENT, 7);
  EXPECT_EQ(memio_incoming_cancelled(call), 1);
  EXPECT_EQ(memio_incoming_answer(call, "2", nullptr), MEMIO_OK) << "which is dropped";
  memio_incoming_free(call);
  expect_event(client_, MEMIO_CALL_ANSWERED, 5);
  memio_answer* answer = nullptr;
  EXPECT_EQ(memio_pending_take(pending, &answer), MEMIO_CALL_CANCELLED);
  EXPECT_STREQ(memio_error_name(), "io.memio.CallCancelled");
  memio_pending_free(pending);
}

TEST_F(CApiCommands, WhatMemiodWouldNotTakeIsRefused) {
  memio_attachments* attached = nullptr;
  ASSERT_EQ(memio_attachments_new(&attached), MEMIO_OK);
  for (int i = 0; i < 17; ++i) ASSERT_EQ(memio_attachments_add_bytes(attached, "x", 1), MEMIO_OK);
  memio_answer* answer = nullptr;
  EXPECT_EQ(memio_call(client_, "c", nullptr, -1, attached, &answer), MEMIO_LIMIT_EXCEEDED);
  const std::string long_value = '"' + std::string(std::size_t{1} << 20, 'x') + '"';
  EXPECT_EQ(memio_call(client_, "c", long_value.c_str(), -1, nullptr, &answer), MEMIO_PROTOCOL);
  EXPECT_STREQ(memio_error_name(), "io.memio.MessageTooLarge");
  EXPECT_EQ(memio_emit(client_, "t", nullptr), MEMIO_OK) << "it goes on";
  memio_attachments_free(attached);
}

TEST_F(CApi, MessagesAreListenedTo) {
  memio_listener* listener = nullptr;
  ASSERT_EQ(memio_listen(client_, "a/*", 9, &listener), MEMIO_OK) << memio_error_message();
  ASSERT_EQ(memio_emit(client_, "b", nullptr), MEMIO_OK);
  ASSERT_EQ(memio_emit(client_, "a/b", "[2]"), MEMIO_OK);
  memio_event event{};
  ASSERT_EQ(memio_wait(client_, &event, 1, 20'000), 1);
  EXPECT_EQ(event.kind, MEMIO_MESSAGE_ARRIVED);
  EXPECT_EQ(event.token, 9U);
  memio_message message{};
  ASSERT_EQ(memio_listener_next(listener, &message), 1);
  EXPECT_STREQ(message.topic, "a/b");
  EXPECT_STREQ(message.payload, "[2]");
  EXPECT_EQ(message.lost, 0U);
  EXPECT_EQ(memio_listener_next(listener, &message), 0);
  EXPECT_EQ(memio_listener_wait(listener, 0, &message), MEMIO_TIMED_OUT);
  memio_listener_free(listener);
}

TEST_F(CApi, ErrorsHaveACodeANameAndASentence) {
  memio_region* none = nullptr;
  EXPECT_EQ(memio_open(client_, "none", MEMIO_READ, &none), MEMIO_NO_SUCH_REGION);
  EXPECT_STREQ(memio_error_name(), "io.memio.NoSuchRegion");
  EXPECT_NE(std::string(memio_error_message()).find("none"), std::string::npos);
  EXPECT_EQ(memio_region_write(region_, std::string(65, 'x').c_str(), 65, nullptr), MEMIO_PAYLOAD_TOO_LARGE);
  EXPECT_NE(std::string(memio_error_message()), "");
  memio_client* nobody = nullptr;
  EXPECT_EQ(memio_connect("/nonexistent", &nobody), MEMIO_SYSTEM);
  EXPECT_EQ(memio_error_errno(), ENOENT);
  memio_region_options short_options = {1, 1, 0, MEMIO_LAYOUT_64, MEMIO_SESSION, 0};
  EXPECT_EQ(memio_create(client_, "x", &short_options, &none), MEMIO_MISUSE);
}

TEST_F(CApi, ListsStatsAndRemoves) {
  memio_list* list = nullptr;
  ASSERT_EQ(memio_list_regions(client_, nullptr, &list), MEMIO_OK);
  ASSERT_EQ(memio_list_length(list), 1U);
  const auto info = memio_list_get(list, 0);
  EXPECT_STREQ(info.name, "c");
  EXPECT_EQ(info.slots, 4U);
  EXPECT_EQ(info.capacity, 64U);
  memio_list_free(list);
  memio_region_state state;
  ASSERT_EQ(memio_stat(client_, "c", &state), MEMIO_OK);
  EXPECT_EQ(state.handles, 1U);
  EXPECT_EQ(memio_remove(client_, "c"), MEMIO_OK);
  EXPECT_EQ(memio_stat(client_, "c", &state), MEMIO_NO_SUCH_REGION);
}

TEST_F(CApi, SubscribesAndWatches) {
  ASSERT_EQ(memio_subscribe(region_, 5, 0), MEMIO_OK);
  memio_watcher* watcher = nullptr;
  ASSERT_EQ(memio_watch(client_, "c", 1, 6, &watcher), MEMIO_OK);
  memio_event events[8];
  bool changed = false;
  bool version = false;
  ASSERT_EQ(memio_region_write(region_, "x", 1, nullptr), MEMIO_OK);
  while (!changed || !version) {
    const int told = memio_wait(client_, events, 8, 20'000);
    ASSERT_GT(told, 0);
    for (int i = 0; i < told; ++i) {
      if (events[i].kind == MEMIO_REGION_CHANGED) {
        EXPECT_EQ(events[i].token, 5U);
        changed = true;
        continue;
      }
      EXPECT_EQ(events[i].token, 6U);
      memio_watch_event event;
      while (memio_watcher_next(watcher, &event) == 1) {
        if (event.kind != MEMIO_WATCH_VERSION) continue;
        EXPECT_STREQ(event.region.name, "c");
        EXPECT_EQ(event.version, 1U);
        version = true;
      }
    }
  }
  memio_watcher_free(watcher);
}

TEST_F(CApi, AGivenAwayConnectionWorks) {
  int socket = -1;
  ASSERT_EQ(memio_open_connection(client_, &socket), MEMIO_OK);
  memio_client* other = nullptr;
  ASSERT_EQ(memio_adopt(socket, &other), MEMIO_OK);
  memio_region* region = nullptr;
  EXPECT_EQ(memio_open(other, "c", MEMIO_READ, &region), MEMIO_OK);
  memio_region_free(region);
  memio_client_free(other);
}

TEST_F(CApi, AGivenAwayConnectionMayBeNarrower) {
  const memio_grant grants[] = {{"c", MEMIO_RIGHT_READ}, {"page/**", MEMIO_RIGHT_HANDLE | MEMIO_RIGHT_LISTEN}};
  int socket = -1;
  ASSERT_EQ(memio_open_scoped_connection(client_, grants, 2, &socket), MEMIO_OK) << memio_error_message();
  memio_client* other = nullptr;
  ASSERT_EQ(memio_adopt(socket, &other), MEMIO_OK);
  memio_region* region = nullptr;
  EXPECT_EQ(memio_open(other, "c", MEMIO_WRITE, &region), MEMIO_PERMISSION_DENIED);
  EXPECT_EQ(memio_open(other, "c", MEMIO_READ, &region), MEMIO_OK);
  memio_handler* handler = nullptr;
  EXPECT_EQ(memio_handle(other, "c", 1, &handler), MEMIO_PERMISSION_DENIED);
  EXPECT_EQ(memio_handle(other, "page/c", 1, &handler), MEMIO_OK);
  EXPECT_EQ(memio_emit(other, "page/t", nullptr), MEMIO_PERMISSION_DENIED);
  memio_handler_free(handler);
  memio_region_free(region);
  memio_client_free(other);

  ASSERT_EQ(memio_open_scoped_connection(client_, nullptr, 0, &socket), MEMIO_OK) << memio_error_message();
  ASSERT_EQ(memio_adopt(socket, &other), MEMIO_OK);
  EXPECT_EQ(memio_open(other, "c", MEMIO_READ, &region), MEMIO_NO_SUCH_REGION);
  memio_client_free(other);
  const memio_grant unknown{"c", MEMIO_RIGHT_LISTEN << 1};
  EXPECT_EQ(memio_open_scoped_connection(client_, &unknown, 1, &socket), MEMIO_MISUSE);
}

TEST_F(CApi, AGMainLoopDispatchesTheClient) {
  ASSERT_EQ(memio_subscribe(region_, 9, 0), MEMIO_OK);
  GMainContext* context = g_main_context_new();
  GMainLoop* loop = g_main_loop_new(context, FALSE);
  struct State {
    GMainLoop* loop;
    int events = 0;
  } state{loop};
  GSource* source = memio_source_new(client_);
  const MemioSourceFunc on_event = [](memio_client*, const memio_event* event, gpointer data) -> gboolean {
    auto* s = static_cast<State*>(data);
    EXPECT_EQ(event->token, 9U);
    if (++s->events == 2) g_main_loop_quit(s->loop);
    return G_SOURCE_CONTINUE;
  };
  g_source_set_callback(source, G_SOURCE_FUNC(on_event), &state, nullptr);
  g_source_attach(source, context);
  auto child = Process::fork([&] {
    auto other = daemon_.connect();
    auto region = other.open("c", Access::write);
    auto seen = other.create("seen", {.capacity = 1});
    return region->write({}) && seen->wait(0, std::chrono::seconds(20)) && region->write({}) ? 0 : 1;
  });
  // The second publish waits until the first has been dispatched.
  while (state.events < 1) g_main_context_iteration(context, TRUE);
  memio_region* seen = nullptr;
  while (memio_open(client_, "seen", MEMIO_WRITE, &seen) != MEMIO_OK) {
  }
  ASSERT_EQ(memio_region_write(seen, "", 0, nullptr), MEMIO_OK);
  g_main_loop_run(loop);
  EXPECT_EQ(state.events, 2);
  EXPECT_EQ(child.wait(), 0);
  memio_region_free(seen);
  g_source_destroy(source);
  g_source_unref(source);
  g_main_loop_unref(loop);
  g_main_context_unref(context);
}

TEST_F(CApi, Streams) {
  memio_client* other = nullptr;
  ASSERT_EQ(memio_connect(daemon_.socket_path().c_str(), &other), MEMIO_OK);
  const memio_stream_options options = {sizeof options, 8, 2, 11};
  memio_stream_writer* writer = nullptr;
  memio_stream_reader* reader = nullptr;
  ASSERT_EQ(memio_create_stream_reader(client_, "s", &options, &reader), MEMIO_OK) << memio_error_message();
  ASSERT_EQ(memio_open_stream_writer(other, "s", &writer), MEMIO_OK) << memio_error_message();
  EXPECT_EQ(memio_stream_writer_total_length(writer), 11U);
  EXPECT_EQ(memio_stream_reader_total_length(reader), 11U);
  EXPECT_EQ(memio_stream_writer_chunk_size(writer), 8U);
  EXPECT_EQ(memio_stream_reader_chunk_size(reader), 8U);
  ASSERT_EQ(memio_stream_reader_subscribe(reader, 3), MEMIO_OK);
  ASSERT_EQ(memio_stream_writer_subscribe(writer, 4), MEMIO_OK);

  memio_event events[4];
  ASSERT_EQ(memio_dispatch(other, events, 4), 1U);
  EXPECT_EQ(events[0].kind, MEMIO_STREAM_WRITABLE);
  EXPECT_EQ(events[0].token, 4U);
  EXPECT_EQ(memio_dispatch(client_, events, 4), 0U);
  ASSERT_EQ(memio_stream_writer_write(writer, "hello, ", 7, 0), MEMIO_OK);
  ASSERT_EQ(memio_wait(client_, events, 4, 20'000), 1);
  EXPECT_EQ(events[0].kind, MEMIO_STREAM_READABLE);
  EXPECT_EQ(events[0].token, 3U);

  void* data = nullptr;
  size_t capacity = 0;
  ASSERT_EQ(memio_stream_writer_begin(writer, 0, &data, &capacity), MEMIO_OK);
  EXPECT_EQ(capacity, 8U);
  std::memcpy(data, "page", 4);
  ASSERT_EQ(memio_stream_writer_commit(writer, 4, 1), MEMIO_OK);
  EXPECT_EQ(memio_stream_writer_begin(writer, 0, &data, &capacity), MEMIO_MISUSE);
  EXPECT_EQ(memio_stream_writer_finish(writer, 0), MEMIO_TIMED_OUT);

  memio_chunk* first = nullptr;
  memio_chunk* second = nullptr;
  ASSERT_EQ(memio_stream_reader_next(reader, 0, &first), MEMIO_OK);
  ASSERT_EQ(memio_stream_reader_next(reader, 0, &second), MEMIO_OK);
  EXPECT_EQ(std::string(static_cast<const char*>(memio_chunk_data(first)), memio_chunk_length(first)), "hello, ");
  EXPECT_EQ(memio_chunk_offset(second), 7U);
  EXPECT_EQ(memio_chunk_is_last(first), 0);
  EXPECT_EQ(memio_chunk_is_last(second), 1);
  memio_chunk_free(second);
  memio_chunk* none = first;
  ASSERT_EQ(memio_stream_reader_next(reader, 0, &none), MEMIO_OK);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(memio_stream_reader_taken(reader), 11U);
  memio_stream_reader_free(reader);
  memio_chunk_free(first);  // it has outlived its reader
  memio_chunk_free(nullptr);
  EXPECT_EQ(memio_stream_writer_finish(writer, 0), MEMIO_OK) << memio_error_message();
  EXPECT_EQ(memio_stream_writer_written(writer), 11U);
  EXPECT_EQ(memio_stream_writer_taken(writer), 11U);
  memio_stream_writer_free(writer);
  memio_client_free(other);
}

TEST_F(CApi, StreamsThatAreGivenUp) {
  memio_stream_writer* writer = nullptr;
  memio_stream_reader* reader = nullptr;
  const memio_stream_options bad = {4, 8, 2, 11};
  EXPECT_EQ(memio_create_stream_writer(client_, "s", &bad, &writer), MEMIO_MISUSE);
  ASSERT_EQ(memio_create_stream_writer(client_, "s", nullptr, &writer), MEMIO_OK);
  ASSERT_EQ(memio_open_stream_reader(client_, "s", &reader), MEMIO_OK);
  EXPECT_EQ(memio_stream_writer_total_length(writer), UINT64_MAX);
  memio_stream_writer_abort(writer, "no more");
  memio_chunk* chunk = nullptr;
  EXPECT_EQ(memio_stream_reader_next(reader, 0, &chunk), MEMIO_ABORTED);
  EXPECT_STREQ(memio_error_message(), "no more (io.memio.client.Aborted)");
  memio_stream_writer_free(writer);
  memio_stream_reader_free(reader);
  ASSERT_EQ(memio_create_stream_writer(client_, "s", nullptr, &writer), MEMIO_OK);
  ASSERT_EQ(memio_open_stream_reader(client_, "s", &reader), MEMIO_OK);
  memio_stream_reader_cancel(reader, nullptr);
  EXPECT_EQ(memio_stream_writer_finish(writer, 0), MEMIO_ABORTED);
  EXPECT_EQ(memio_stream_writer_subscribe(writer, 1), MEMIO_OK);
  memio_stream_writer_unsubscribe(writer);
  memio_stream_reader_unsubscribe(reader);
  memio_stream_reader_free(reader);
  memio_stream_writer_free(writer);
}

}  // namespace
}  // namespace memio::test

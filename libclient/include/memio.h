/* SPDX-License-Identifier: MIT */
#ifndef MEMIO_H
#define MEMIO_H

/*
 * libmemio-client for C and for other languages: the C++ API of memio/client.h under C names.
 *
 * Functions that can fail return 0 or a negative number of enum memio_error, and say why in memio_error_message().
 * Sizes are in bytes, times in milliseconds; a negative timeout waits for ever. Objects are freed by their own _free
 * function, which takes NULL. Nothing here is thread-safe: a client and all that came from it belong to one thread at a
 * time. The library has no threads, does not log, and calls nothing back.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEMIO_EXPORT __attribute__((visibility("default")))

typedef struct memio_client memio_client;
typedef struct memio_region memio_region;
typedef struct memio_snapshot memio_snapshot;
typedef struct memio_watcher memio_watcher;
typedef struct memio_list memio_list;
typedef struct memio_attachments memio_attachments;
typedef struct memio_answer memio_answer;
typedef struct memio_pending memio_pending;
typedef struct memio_handler memio_handler;
typedef struct memio_incoming memio_incoming;
typedef struct memio_listener memio_listener;
typedef struct memio_stream_writer memio_stream_writer;
typedef struct memio_stream_reader memio_stream_reader;
typedef struct memio_chunk memio_chunk;

enum memio_error {
  MEMIO_OK = 0,
  MEMIO_NO_SUCH_REGION = -1,
  MEMIO_REGION_EXISTS = -2,
  MEMIO_INVALID_NAME = -3,
  MEMIO_INVALID_PATTERN = -4,
  MEMIO_INVALID_CAPACITY = -5,
  MEMIO_INVALID_SLOTS = -6,
  MEMIO_PERMISSION_DENIED = -7,
  MEMIO_LIMIT_EXCEEDED = -8,
  MEMIO_OUT_OF_RESOURCES = -9,
  MEMIO_PAYLOAD_TOO_LARGE = -10,
  MEMIO_READ_ONLY = -11,
  MEMIO_BUSY = -12,
  MEMIO_CORRUPT = -13,
  MEMIO_EVICTED = -14,
  MEMIO_MISUSE = -15,
  MEMIO_DISCONNECTED = -16,
  MEMIO_TIMED_OUT = -17,
  MEMIO_PROTOCOL = -18, /* memiod refused the call itself, or answered with nonsense */
  MEMIO_SYSTEM = -19,   /* see memio_error_errno() */
  MEMIO_INVALID_SHRINK_AFTER = -20,
  MEMIO_ABORTED = -21,   /* the other side of a stream gave it up; the message is its reason */
  MEMIO_PEER_GONE = -22, /* the other side of a stream is gone */
  MEMIO_NO_SUCH_COMMAND = -23,
  MEMIO_COMMAND_EXISTS = -24,
  MEMIO_COMMAND_FAILED = -25, /* see memio_error_rejection() */
  MEMIO_HANDLER_GONE = -26,
  MEMIO_CALL_CANCELLED = -27,
  MEMIO_CALL_TIMED_OUT = -28
};

/* Of this thread's last failed call. The text is valid until the next one. */
MEMIO_EXPORT const char* memio_error_message(void);
MEMIO_EXPORT const char* memio_error_name(void); /* such as "io.memio.NoSuchRegion" */
MEMIO_EXPORT int memio_error_errno(void);        /* 0 if the kernel gave none */
/* With MEMIO_COMMAND_FAILED: the handler's own name for what went wrong, and what else it said, as JSON; else NULL. */
MEMIO_EXPORT const char* memio_error_rejection(void);
MEMIO_EXPORT const char* memio_error_details(void);

enum memio_access { MEMIO_READ = 0, MEMIO_WRITE = 1 };
enum memio_layout { MEMIO_LAYOUT_64 = 0, MEMIO_LAYOUT_24 = 1 };
enum memio_lifetime { MEMIO_SESSION = 0, MEMIO_LINGER = 1, MEMIO_PERSISTENT = 2 };

/* --- client --- */

/* Connects to `path`, or to $MEMIO_SOCKET, or to $XDG_RUNTIME_DIR/memio/io.memio if it is NULL. */
MEMIO_EXPORT int memio_connect(const char* path, memio_client** client);
/* Uses a connected socket, which it takes over even if it fails. */
MEMIO_EXPORT int memio_adopt(int socket, memio_client** client);
/* Regions, snapshots and watchers may outlive it. */
MEMIO_EXPORT void memio_client_free(memio_client* client);

struct memio_region_options {
  size_t size;       /* sizeof(struct memio_region_options), so that fields can be added */
  uint64_t capacity; /* payload bytes a slot can hold */
  uint32_t slots;    /* 0: the default, 4 */
  enum memio_layout layout;
  enum memio_lifetime lifetime;
  int exclusive;        /* not 0: nobody but the creator can ever write it */
  int huge_pages;       /* not 0: mapped with huge pages where the system gives them; see memio_region_prefault() */
  int64_t shrink_after; /* ms without a publish after which memiod shrinks it; 0: never */
};

MEMIO_EXPORT int memio_create(memio_client* client, const char* name, const struct memio_region_options* options,
                              memio_region** region);
MEMIO_EXPORT int memio_open(memio_client* client, const char* name, enum memio_access access, memio_region** region);
MEMIO_EXPORT int memio_remove(memio_client* client, const char* name);

struct memio_region_info {
  const char* name; /* as long as the list or region that it came from */
  uint64_t generation;
  enum memio_layout layout;
  uint32_t slots;
  uint64_t capacity;
  uint64_t stride;
  enum memio_lifetime lifetime;
  int exclusive;
  int huge_pages;
  int64_t shrink_after; /* 0: never */
  uint64_t sequence;
  uint64_t handles;
};

/* The regions that match `pattern`; all of them if it is NULL. */
MEMIO_EXPORT int memio_list_regions(memio_client* client, const char* pattern, memio_list** list);
MEMIO_EXPORT size_t memio_list_length(const memio_list* list);
/* `index` must be smaller than the length. */
MEMIO_EXPORT struct memio_region_info memio_list_get(const memio_list* list, size_t index);
MEMIO_EXPORT void memio_list_free(memio_list* list);

struct memio_region_state {
  uint64_t sequence;
  uint64_t version;
  uint64_t length;
  uint64_t memory; /* bytes in use by the region's pages */
  uint64_t handles;
};
MEMIO_EXPORT int memio_stat(memio_client* client, const char* name, struct memio_region_state* state);

/* A connected socket with the rights of this connection, to be given to another process. The caller closes it. */
MEMIO_EXPORT int memio_open_connection(memio_client* client, int* socket);

enum memio_right { /* to be combined */
                   MEMIO_RIGHT_READ = 1 << 0,
                   MEMIO_RIGHT_WRITE = 1 << 1,
                   MEMIO_RIGHT_CREATE = 1 << 2,
                   MEMIO_RIGHT_REMOVE = 1 << 3,
                   MEMIO_RIGHT_WATCH = 1 << 4,
                   MEMIO_RIGHT_INVOKE = 1 << 5,
                   MEMIO_RIGHT_HANDLE = 1 << 6,
                   MEMIO_RIGHT_EMIT = 1 << 7,
                   MEMIO_RIGHT_LISTEN = 1 << 8
};
/* What a pattern allows: of regions up to WATCH, of commands INVOKE and HANDLE, of topics EMIT and LISTEN. */
struct memio_grant {
  const char* pattern;
  unsigned rights;
};
/* The same with only those rights of this connection that one of the grants allows; none allow nothing. MEMIO_MISUSE if
 * there is a right that this version does not know. */
MEMIO_EXPORT int memio_open_scoped_connection(memio_client* client, const struct memio_grant* grants, size_t count,
                                              int* socket);

/* --- events --- */

enum memio_event_kind {
  MEMIO_REGION_CHANGED = 0,
  MEMIO_WATCH_READY = 1,
  MEMIO_DISCONNECTED_EVENT = 2,
  MEMIO_RECONNECTED = 3,
  MEMIO_STREAM_READABLE = 4, /* memio_stream_reader_next() has something, or the stream has ended */
  MEMIO_STREAM_WRITABLE = 5, /* memio_stream_writer_begin() has room, or the stream has ended */
  MEMIO_CALL_ARRIVED = 6,
  MEMIO_CALL_CANCELLED_EVENT = 7,
  MEMIO_MESSAGE_ARRIVED = 8,
  MEMIO_CALL_ANSWERED = 9
};
struct memio_event {
  uint64_t token; /* what the caller gave to memio_..._subscribe, memio_watch, memio_handle and so on */
  enum memio_event_kind kind;
};

/* One descriptor for everything, borrowed: wait for it to be readable, level-triggered, and call memio_dispatch(). */
MEMIO_EXPORT int memio_get_fd(const memio_client* client);
/* Handles what has come without blocking; writes up to `capacity` events and returns how many. If that are as many,
 * there may be more: call it again. */
MEMIO_EXPORT size_t memio_dispatch(memio_client* client, struct memio_event* events, size_t capacity);
/* The same after waiting; the number of events, 0 if the time ran out, or an error. */
MEMIO_EXPORT int memio_wait(memio_client* client, struct memio_event* events, size_t capacity, int64_t timeout);

/* --- regions --- */

/* Ends the handle. Snapshots may outlive it. */
MEMIO_EXPORT void memio_region_free(memio_region* region);
MEMIO_EXPORT struct memio_region_info memio_region_get_info(const memio_region* region);
MEMIO_EXPORT uint64_t memio_region_sequence(const memio_region* region);
/* Borrowed; the region's memory as a file. */
MEMIO_EXPORT int memio_region_fd(const memio_region* region);

/* Versions are the writer's labels. The functions without one take the latest version + 1. `sequence` may be NULL. */
MEMIO_EXPORT int memio_region_write(memio_region* region, const void* data, size_t length, uint64_t* sequence);
MEMIO_EXPORT int memio_region_write_version(memio_region* region, const void* data, size_t length, uint64_t version,
                                            uint64_t* sequence);
/* In place: fill `length` bytes at *data, then commit or abort. Other writers wait in between. */
MEMIO_EXPORT int memio_region_begin(memio_region* region, size_t length, void** data);
MEMIO_EXPORT int memio_region_commit(memio_region* region, uint64_t* sequence);
MEMIO_EXPORT int memio_region_commit_version(memio_region* region, uint64_t version, uint64_t* sequence);
MEMIO_EXPORT void memio_region_abort(memio_region* region);
MEMIO_EXPORT void memio_region_set_write_timeout(memio_region* region, int64_t timeout);

/* Has the memory of all slots allocated and mapped now. */
MEMIO_EXPORT int memio_region_prefault(memio_region* region);
/* Gives the memory of stale slots back to the system. `freed`, in bytes, may be NULL. */
MEMIO_EXPORT int memio_region_shrink(memio_region* region, uint64_t* freed);

/* Leases the latest publish. */
MEMIO_EXPORT int memio_region_read(memio_region* region, memio_snapshot** snapshot);
/* The same, but *snapshot is NULL if the sequence is still `last_seen`. */
MEMIO_EXPORT int memio_region_read_since(memio_region* region, uint64_t last_seen, memio_snapshot** snapshot);
MEMIO_EXPORT void memio_snapshot_free(memio_snapshot* snapshot);
MEMIO_EXPORT const void* memio_snapshot_data(const memio_snapshot* snapshot);
MEMIO_EXPORT size_t memio_snapshot_length(const memio_snapshot* snapshot);
MEMIO_EXPORT uint64_t memio_snapshot_version(const memio_snapshot* snapshot);
MEMIO_EXPORT uint64_t memio_snapshot_sequence(const memio_snapshot* snapshot);
/* Copies the latest payload. `length` becomes its size, also if it does not fit; version and sequence may be NULL. */
MEMIO_EXPORT int memio_region_read_into(memio_region* region, void* to, size_t capacity, size_t* length,
                                        uint64_t* version, uint64_t* sequence);

/* Waits until the sequence is other than `last_seen`. For threads without an event loop. */
MEMIO_EXPORT int memio_region_wait(memio_region* region, uint64_t last_seen, int64_t timeout, uint64_t* sequence);
/* From now on memio_dispatch() tells `token` of changes. */
MEMIO_EXPORT int memio_subscribe(memio_region* region, uint64_t token, uint64_t last_seen);
MEMIO_EXPORT void memio_unsubscribe(memio_region* region);

/* --- streams --- */

/*
 * Any number of bytes from one program to another, in order, none of them lost, at the pace of the reader. A stream has
 * one writer and one reader; either creates it, the other opens it. memio/stream.h says more. All functions that take a
 * timeout can also fail with MEMIO_TIMED_OUT, MEMIO_ABORTED, MEMIO_PEER_GONE and MEMIO_CORRUPT.
 */
struct memio_stream_options {
  size_t size;           /* sizeof(struct memio_stream_options), so that fields can be added */
  uint64_t chunk_size;   /* bytes that a buffer holds, at most 2^32 - 1; 0: the default, 1 MiB */
  uint32_t buffers;      /* 1, 2, 4, 8, 16, 32 or 64; 0: the default, 4 */
  uint64_t total_length; /* bytes in all, to show progress with; UINT64_MAX: not known */
};

/* `options` may be NULL. */
MEMIO_EXPORT int memio_create_stream_writer(memio_client* client, const char* name,
                                            const struct memio_stream_options* options, memio_stream_writer** writer);
MEMIO_EXPORT int memio_create_stream_reader(memio_client* client, const char* name,
                                            const struct memio_stream_options* options, memio_stream_reader** reader);
MEMIO_EXPORT int memio_open_stream_writer(memio_client* client, const char* name, memio_stream_writer** writer);
MEMIO_EXPORT int memio_open_stream_reader(memio_client* client, const char* name, memio_stream_reader** reader);

/* Gives the stream up if its last chunk was not put in. */
MEMIO_EXPORT void memio_stream_writer_free(memio_stream_writer* writer);
/* A free buffer, to be filled: *capacity bytes at *data. */
MEMIO_EXPORT int memio_stream_writer_begin(memio_stream_writer* writer, int64_t timeout, void** data, size_t* capacity);
/* Gives the first `length` bytes of it to the reader. `last`, if not 0: the stream ends with them. */
MEMIO_EXPORT int memio_stream_writer_commit(memio_stream_writer* writer, size_t length, int last);
/* Copies as many chunks as it takes. */
MEMIO_EXPORT int memio_stream_writer_write(memio_stream_writer* writer, const void* data, size_t length,
                                           int64_t timeout);
/* Ends the stream and waits until the reader has given everything back. */
MEMIO_EXPORT int memio_stream_writer_finish(memio_stream_writer* writer, int64_t timeout);
/* `reason` may be NULL. */
MEMIO_EXPORT void memio_stream_writer_abort(memio_stream_writer* writer, const char* reason);
MEMIO_EXPORT uint64_t memio_stream_writer_written(const memio_stream_writer* writer);
MEMIO_EXPORT uint64_t memio_stream_writer_taken(const memio_stream_writer* writer);
MEMIO_EXPORT uint64_t memio_stream_writer_total_length(const memio_stream_writer* writer); /* UINT64_MAX: not known */
MEMIO_EXPORT uint64_t memio_stream_writer_chunk_size(const memio_stream_writer* writer);
/* From now on memio_dispatch() tells `token`; write until MEMIO_TIMED_OUT with a timeout of 0. */
MEMIO_EXPORT int memio_stream_writer_subscribe(memio_stream_writer* writer, uint64_t token);
MEMIO_EXPORT void memio_stream_writer_unsubscribe(memio_stream_writer* writer);

/* Gives the stream up if its last chunk was not taken. Chunks may outlive it. */
MEMIO_EXPORT void memio_stream_reader_free(memio_stream_reader* reader);
/* The next chunk; *chunk is NULL once the last has been taken. */
MEMIO_EXPORT int memio_stream_reader_next(memio_stream_reader* reader, int64_t timeout, memio_chunk** chunk);
/* Gives it back. In any order. */
MEMIO_EXPORT void memio_chunk_free(memio_chunk* chunk);
MEMIO_EXPORT const void* memio_chunk_data(const memio_chunk* chunk);
MEMIO_EXPORT size_t memio_chunk_length(const memio_chunk* chunk);
MEMIO_EXPORT uint64_t memio_chunk_offset(const memio_chunk* chunk);
MEMIO_EXPORT int memio_chunk_is_last(const memio_chunk* chunk);
/* `reason` may be NULL. */
MEMIO_EXPORT void memio_stream_reader_cancel(memio_stream_reader* reader, const char* reason);
MEMIO_EXPORT uint64_t memio_stream_reader_taken(const memio_stream_reader* reader);
MEMIO_EXPORT uint64_t memio_stream_reader_total_length(const memio_stream_reader* reader); /* UINT64_MAX: not known */
MEMIO_EXPORT uint64_t memio_stream_reader_chunk_size(const memio_stream_reader* reader);
/* From now on memio_dispatch() tells `token`; take chunks until MEMIO_TIMED_OUT with a timeout of 0. */
MEMIO_EXPORT int memio_stream_reader_subscribe(memio_stream_reader* reader, uint64_t token);
MEMIO_EXPORT void memio_stream_reader_unsubscribe(memio_stream_reader* reader);

/* --- watching --- */

enum memio_watch_kind {
  MEMIO_WATCH_PRESENT = 0,
  MEMIO_WATCH_READY_KIND = 1,
  MEMIO_WATCH_CREATED = 2,
  MEMIO_WATCH_REMOVED = 3,
  MEMIO_WATCH_VERSION = 4
};
struct memio_watch_event {
  enum memio_watch_kind kind;
  struct memio_region_info
      region;       /* its name is NULL for MEMIO_WATCH_READY_KIND; valid until the next event is taken */
  uint64_t version; /* with MEMIO_WATCH_VERSION */
};

/* Watches regions that match `pattern` (NULL: all); publishes too if `versions` is not 0. */
MEMIO_EXPORT int memio_watch(memio_client* client, const char* pattern, int versions, uint64_t token,
                             memio_watcher** watcher);
/* 1 if there was an event, 0 if none is there now, or an error. */
MEMIO_EXPORT int memio_watcher_next(memio_watcher* watcher, struct memio_watch_event* event);
MEMIO_EXPORT void memio_watcher_free(memio_watcher* watcher);

/* --- commands and messages ---
 *
 * Small things, as JSON texts (NULL: null). What is not small goes beside them, as attachments, and the JSON says where
 * it belongs: {"$region": i}, {"$bytes": i} and {"$descriptor": i} stand for attachment i, counted from 0.
 */

MEMIO_EXPORT int memio_attachments_new(memio_attachments** attachments);
MEMIO_EXPORT void memio_attachments_free(memio_attachments* attachments);
/* A copy of the bytes, which nobody can change any more. */
MEMIO_EXPORT int memio_attachments_add_bytes(memio_attachments* attachments, const void* data, size_t length);
/* Whoever gets the region has it open too; for writing if it is open here for writing and not exclusive. */
MEMIO_EXPORT int memio_attachments_add_region(memio_attachments* attachments, const memio_region* region);
/* Any descriptor but a socket; takes it over even if it fails. */
MEMIO_EXPORT int memio_attachments_add_fd(memio_attachments* attachments, int fd);
MEMIO_EXPORT size_t memio_attachments_length(const memio_attachments* attachments);
MEMIO_EXPORT int memio_attachments_is_region(const memio_attachments* attachments, size_t index);
/* Valid as long as the attachments; MEMIO_CORRUPT if somebody could still change them. */
MEMIO_EXPORT int memio_attachments_get_bytes(memio_attachments* attachments, size_t index, const void** data,
                                             size_t* length);
/* The caller's from now on. */
MEMIO_EXPORT int memio_attachments_take_region(memio_attachments* attachments, size_t index, memio_region** region);
MEMIO_EXPORT int memio_attachments_take_fd(memio_attachments* attachments, size_t index, int* fd);

/* Calls a command and waits for the answer; memiod ends the call after `timeout`. Takes what is in `attachments`, which
 * may be NULL and remains the caller's to free. */
MEMIO_EXPORT int memio_call(memio_client* client, const char* name, const char* arguments, int64_t timeout,
                            memio_attachments* attachments, memio_answer** answer);
MEMIO_EXPORT const char* memio_answer_result(const memio_answer* answer);
MEMIO_EXPORT memio_attachments* memio_answer_attachments(memio_answer* answer); /* borrowed */
MEMIO_EXPORT void memio_answer_free(memio_answer* answer);

/* The same without waiting: memio_dispatch() tells `token` (MEMIO_CALL_ANSWERED), then there is something to take. */
MEMIO_EXPORT int memio_call_begin(memio_client* client, const char* name, const char* arguments, int64_t timeout,
                                  memio_attachments* attachments, uint64_t token, memio_pending** pending);
/* Once: 1 and the answer, 0 if there is none yet, or why there is none. */
MEMIO_EXPORT int memio_pending_take(memio_pending* pending, memio_answer** answer);
/* The answer is MEMIO_CALL_CANCELLED, unless there is one already. */
MEMIO_EXPORT void memio_pending_cancel(memio_pending* pending);
/* The call goes on, and nobody hears of its answer. */
MEMIO_EXPORT void memio_pending_free(memio_pending* pending);

/* Handles a command until it is freed; memio_dispatch() tells `token` of calls (MEMIO_CALL_ARRIVED). */
MEMIO_EXPORT int memio_handle(memio_client* client, const char* name, uint64_t token, memio_handler** handler);
MEMIO_EXPORT void memio_handler_free(memio_handler* handler);
/* 1 and a call, 0 if none is there now, or an error. */
MEMIO_EXPORT int memio_handler_next(memio_handler* handler, memio_incoming** call);
/* The same after waiting: 1, or an error, MEMIO_TIMED_OUT if the time ran out. */
MEMIO_EXPORT int memio_handler_wait(memio_handler* handler, int64_t timeout, memio_incoming** call);
MEMIO_EXPORT const char* memio_incoming_name(const memio_incoming* call);
MEMIO_EXPORT const char* memio_incoming_arguments(const memio_incoming* call);
MEMIO_EXPORT memio_attachments* memio_incoming_attachments(memio_incoming* call); /* borrowed */
/* Whether nobody waits for the answer any more. */
MEMIO_EXPORT int memio_incoming_cancelled(const memio_incoming* call);
/* One of the two, once, at any time. */
MEMIO_EXPORT int memio_incoming_answer(memio_incoming* call, const char* result, memio_attachments* attachments);
MEMIO_EXPORT int memio_incoming_reject(memio_incoming* call, const char* error, const char* message,
                                       const char* details);
/* Without an answer it is rejected as "Unanswered". */
MEMIO_EXPORT void memio_incoming_free(memio_incoming* call);

/* Sends a message to all who listen to the topic. */
MEMIO_EXPORT int memio_emit(memio_client* client, const char* topic, const char* payload);
struct memio_message {
  const char* topic; /* as payload: valid until the next message is taken */
  const char* payload;
  uint64_t lost; /* how many were dropped before it, because too many waited */
};
/* Listens to topics until it is freed; memio_dispatch() tells `token` of messages (MEMIO_MESSAGE_ARRIVED). */
MEMIO_EXPORT int memio_listen(memio_client* client, const char* pattern, uint64_t token, memio_listener** listener);
MEMIO_EXPORT void memio_listener_free(memio_listener* listener);
/* 1 and a message, 0 if none is there now, or an error. */
MEMIO_EXPORT int memio_listener_next(memio_listener* listener, struct memio_message* message);
/* The same after waiting: 1, or an error, MEMIO_TIMED_OUT if the time ran out. */
MEMIO_EXPORT int memio_listener_wait(memio_listener* listener, int64_t timeout, struct memio_message* message);

#ifdef __cplusplus
}
#endif

#endif

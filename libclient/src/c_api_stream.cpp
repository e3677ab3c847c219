// SPDX-License-Identifier: MIT
// The streams of memio.h over the C++ API. No exception leaves a function of this file.

#include <memory>
#include <optional>
#include <vector>

#include "c_api.h"
#include "memio/stream_format.h"

struct memio_chunk;

// What memio_chunk_free() has freed, for the next chunk: no chunk allocates once there have been as many at once.
struct memio_chunk_pool {
  memio_chunk_pool();
  memio_chunk_pool(const memio_chunk_pool&) = delete;
  memio_chunk_pool& operator=(const memio_chunk_pool&) = delete;
  ~memio_chunk_pool();
  std::vector<std::unique_ptr<memio_chunk>> free;
};

struct memio_stream_writer {
  memio::StreamWriter writer;
};
struct memio_chunk {
  std::optional<memio::Chunk> chunk;
  std::shared_ptr<memio_chunk_pool> pool;  // none while it is in there
};
memio_chunk_pool::memio_chunk_pool() { free.reserve(memio::format::max_buffers); }
memio_chunk_pool::~memio_chunk_pool() = default;
struct memio_stream_reader {
  explicit memio_stream_reader(memio::StreamReader opened) : reader(std::move(opened)) {}
  memio::StreamReader reader;
  std::shared_ptr<memio_chunk_pool> chunks = std::make_shared<memio_chunk_pool>();
};

namespace {

using memio::Errc;
using memio::Error;
using memio::c_api::give;
using memio::c_api::give_nothing;
using memio::c_api::guarded;
using memio::c_api::report;
using std::chrono::milliseconds;

memio_chunk* wrap(memio::Chunk chunk, const std::shared_ptr<memio_chunk_pool>& pool) {
  std::unique_ptr<memio_chunk> wrapped;
  if (pool->free.empty()) {
    wrapped = std::make_unique<memio_chunk>();
  } else {
    wrapped = std::move(pool->free.back());
    pool->free.pop_back();
  }
  wrapped->chunk.emplace(std::move(chunk));
  wrapped->pool = pool;
  return wrapped.release();
}

memio::StreamOptions cpp_options(const memio_stream_options* options) {
  memio::StreamOptions cpp;
  if (!options) return cpp;
  if (options->chunk_size != 0) cpp.chunk_size = options->chunk_size;
  if (options->buffers != 0) cpp.buffers = options->buffers;
  if (options->total_length != UINT64_MAX) cpp.total_length = options->total_length;
  return cpp;
}

// `create` makes the side of the stream.
template <class Side, class Create>
int create_side(const memio_stream_options* options, Side** side, Create create) {
  return guarded([&] {
    if (options && options->size < sizeof *options)
      return report(Error{Errc::misuse, 0, "memio_stream_options.size is not its size"});
    return give(create(cpp_options(options)), side);
  });
}

}  // namespace

int memio_create_stream_writer(memio_client* client, const char* name, const memio_stream_options* options,
                               memio_stream_writer** writer) {
  return create_side(options, writer, [&](const auto& cpp) { return client->client.create_stream_writer(name, cpp); });
}
int memio_create_stream_reader(memio_client* client, const char* name, const memio_stream_options* options,
                               memio_stream_reader** reader) {
  return create_side(options, reader, [&](const auto& cpp) { return client->client.create_stream_reader(name, cpp); });
}
int memio_open_stream_writer(memio_client* client, const char* name, memio_stream_writer** writer) {
  return guarded([&] { return give(client->client.open_stream_writer(name), writer); });
}
int memio_open_stream_reader(memio_client* client, const char* name, memio_stream_reader** reader) {
  return guarded([&] { return give(client->client.open_stream_reader(name), reader); });
}

void memio_stream_writer_free(memio_stream_writer* writer) { delete writer; }
int memio_stream_writer_begin(memio_stream_writer* writer, int64_t timeout, void** data, size_t* capacity) {
  return guarded([&] {
    auto buffer = writer->writer.begin(milliseconds(timeout));
    if (!buffer) return report(buffer.error());
    *data = buffer->data();
    *capacity = buffer->size();
    return static_cast<int>(MEMIO_OK);
  });
}
int memio_stream_writer_commit(memio_stream_writer* writer, size_t length, int last) {
  return guarded([&] { return give_nothing(writer->writer.commit(length, last != 0)); });
}
int memio_stream_writer_write(memio_stream_writer* writer, const void* data, size_t length, int64_t timeout) {
  return guarded([&] {
    return give_nothing(writer->writer.write({static_cast<const std::byte*>(data), length}, milliseconds(timeout)));
  });
}
int memio_stream_writer_finish(memio_stream_writer* writer, int64_t timeout) {
  return guarded([&] { return give_nothing(writer->writer.finish(milliseconds(timeout))); });
}
void memio_stream_writer_abort(memio_stream_writer* writer, const char* reason) {
  writer->writer.abort(reason ? reason : "");
}
uint64_t memio_stream_writer_written(const memio_stream_writer* writer) { return writer->writer.written(); }
uint64_t memio_stream_writer_taken(const memio_stream_writer* writer) { return writer->writer.taken(); }
uint64_t memio_stream_writer_total_length(const memio_stream_writer* writer) {
  return writer->writer.total_length().value_or(UINT64_MAX);
}
uint64_t memio_stream_writer_chunk_size(const memio_stream_writer* writer) { return writer->writer.chunk_size(); }
int memio_stream_writer_subscribe(memio_stream_writer* writer, uint64_t token) {
  return guarded([&] { return give_nothing(writer->writer.subscribe({token})); });
}
void memio_stream_writer_unsubscribe(memio_stream_writer* writer) { writer->writer.unsubscribe(); }

void memio_stream_reader_free(memio_stream_reader* reader) { delete reader; }
int memio_stream_reader_next(memio_stream_reader* reader, int64_t timeout, memio_chunk** chunk) {
  return guarded([&] {
    auto next = reader->reader.next(milliseconds(timeout));
    if (!next) return report(next.error());
    *chunk = *next ? wrap(std::move(**next), reader->chunks) : nullptr;
    return static_cast<int>(MEMIO_OK);
  });
}
void memio_chunk_free(memio_chunk* chunk) {
  if (!chunk) return;
  chunk->chunk.reset();
  const auto pool = std::move(chunk->pool);
  pool->free.emplace_back(chunk);  // there are no more chunks at once than there is room for
}
const void* memio_chunk_data(const memio_chunk* chunk) { return chunk->chunk->data().data(); }
size_t memio_chunk_length(const memio_chunk* chunk) { return chunk->chunk->data().size(); }
uint64_t memio_chunk_offset(const memio_chunk* chunk) { return chunk->chunk->offset(); }
int memio_chunk_is_last(const memio_chunk* chunk) { return chunk->chunk->last() ? 1 : 0; }
void memio_stream_reader_cancel(memio_stream_reader* reader, const char* reason) {
  reader->reader.cancel(reason ? reason : "");
}
uint64_t memio_stream_reader_taken(const memio_stream_reader* reader) { return reader->reader.taken(); }
uint64_t memio_stream_reader_total_length(const memio_stream_reader* reader) {
  return reader->reader.total_length().value_or(UINT64_MAX);
}
uint64_t memio_stream_reader_chunk_size(const memio_stream_reader* reader) { return reader->reader.chunk_size(); }
int memio_stream_reader_subscribe(memio_stream_reader* reader, uint64_t token) {
  return guarded([&] { return give_nothing(reader->reader.subscribe({token})); });
}
void memio_stream_reader_unsubscribe(memio_stream_reader* reader) { reader->reader.unsubscribe(); }

// SPDX-License-Identifier: MIT
// The two sides of a stream as a program sees them: the ring, the regions it is in, and waiting.

#include "memio/stream.h"

#include <algorithm>

#include "copy_past_caches.h"
#include "pause.h"
#include "stream_regions.h"

namespace memio {

namespace detail {

namespace {

using std::chrono::milliseconds;

// A side's place in ClientCore's dispatch.
class Subscription {
 public:
  explicit Subscription(OpenRegion& region) noexcept : region_(region) {}
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  ~Subscription() { end(); }

  Result<void> begin(Subscriber& subscriber, Event::Kind kind, Token token) {
    end();
    auto added = region_.core().add_subscription(subscriber, region_.memory().doorbell_fd(), kind, token);
    if (!added) return fail(std::move(added.error()));
    index_ = *added;
    return {};
  }
  void end() noexcept {
    if (index_) region_.core().remove_subscription(*index_, region_.memory().doorbell_fd());
    index_.reset();
  }
  [[nodiscard]] bool is_there() const noexcept { return index_.has_value(); }

 private:
  OpenRegion& region_;
  std::optional<std::size_t> index_;
};

// Waits until `look` gives something, which it does by an optional that is not empty or a bool that is true.
template <class Ring, class Look>
auto wait_until(Ring& ring, OpenRegion& woken_by, const Deadline& deadline, Look look) -> decltype(look()) {
  for (;;) {
    const bool late = is_past(deadline);
    auto idle = ring.is_idle(late ? Announce::no : Announce::yes);
    if (!idle) return fail(std::move(idle.error()));
    if (*idle && late) return fail(Errc::timed_out);
    if (*idle)
      if (auto waited = woken_by.wait_for_ring(deadline); !waited) return fail(std::move(waited.error()));
    auto found = look();
    if (!found || *found) return found;
  }
}

// Looks again for about as long as a sleep and a wake-up would take: the other side, on another CPU, is often nearly
// done.
template <class Look>
auto look_for_a_moment(Look look) -> decltype(look()) {
  constexpr int looks = 4000;
  auto found = look();
  for (int i = 0; found && !*found && i < looks; ++i) {
    pause_cpu();
    found = look();
  }
  return found;
}

template <class Ring, class Look>
auto wait_for(Ring& ring, OpenRegion& woken_by, const Subscription& subscription, milliseconds timeout, Look look)
    -> decltype(look()) {
  // Without asking for the time, as long as nobody has to wait.
  auto found = timeout.count() != 0 ? look_for_a_moment(look) : look();
  if (!found || *found) return found;
  found = wait_until(ring, woken_by, timeout.count() == 0 ? at_once : deadline_in(timeout), look);
  if (!subscription.is_there()) ring.stop_waiting();
  return found;
}

}  // namespace

class WriterStream final : public Subscriber {
 public:
  explicit WriterStream(StreamRegions regions)
      : regions_(std::move(regions)), ring_(regions_.ring(), regions_.peer()) {}
  ~WriterStream() { abort("the writer closed the stream before its end"); }
  WriterStream(const WriterStream&) = delete;
  WriterStream& operator=(const WriterStream&) = delete;

  Result<std::span<std::byte>> begin(milliseconds timeout) {
    if (begun_) {
      // There is nothing to wait for, but there may be something to tell.
      if (auto idle = ring_.is_idle(Announce::no); !idle) return fail(std::move(idle.error()));
      return *begun_;
    }
    auto index = wait_for(ring_, regions_.woken_by(), subscription_, timeout, [this] { return ring_.begin(); });
    if (!index) return fail(std::move(index.error()));
    begun_ = regions_.buffer(**index);
    return *begun_;
  }

  Result<void> commit(std::size_t length, bool last) {
    if (!begun_) return fail(Errc::misuse, "commit() was called without begin()");
    if (length > begun_->size()) return fail(Errc::payload_too_large);
    begun_.reset();
    if (ring_.is_over()) return fail(Errc::misuse, "the stream has ended");
    ring_.commit(static_cast<std::uint32_t>(length), last);
    return {};
  }

  Result<void> finish(milliseconds timeout) {
    const auto deadline = deadline_in(timeout);
    if (!ring_.has_last()) {
      if (auto begun = begin(timeout); !begun) return fail(std::move(begun.error()));
      if (auto committed = commit(0, true); !committed) return committed;
    }
    auto taken =
        wait_for(ring_, regions_.woken_by(), subscription_, left(deadline), [this] { return ring_.all_taken(); });
    if (!taken) return fail(std::move(taken.error()));
    return {};
  }

  void abort(std::string_view reason) noexcept {
    if (!ring_.is_over()) ring_.give_up(reason);
  }

  Result<void> subscribe(Token token) { return subscription_.begin(*this, Event::Kind::stream_writable, token); }
  void unsubscribe() noexcept {
    subscription_.end();
    ring_.stop_waiting();
  }

  [[nodiscard]] Look look() noexcept override {
    const auto idle = ring_.is_idle(Announce::yes);
    return {.changed = !idle || !*idle || (ring_.has_room() && !ring_.has_last()), .armed = true};
  }

  // What is left of the time of a public function that waits more than once.
  static milliseconds left(const Deadline& deadline) noexcept { return milliseconds(milliseconds_left(deadline)); }

  [[nodiscard]] const RingWriter& ring() const noexcept { return ring_; }

 private:
  StreamRegions regions_;
  RingWriter ring_;
  Subscription subscription_{regions_.woken_by()};
  std::optional<std::span<std::byte>> begun_;
};

class ReaderStream final : public Subscriber {
 public:
  explicit ReaderStream(StreamRegions regions)
      : regions_(std::move(regions)), ring_(regions_.ring(), regions_.peer()) {}
  ReaderStream(const ReaderStream&) = delete;
  ReaderStream& operator=(const ReaderStream&) = delete;

  // The StreamReader goes: chunks that are in use keep the rest.
  static void close(std::shared_ptr<ReaderStream> stream) noexcept {
    if (!stream) return;
    stream->unsubscribe();
    if (!stream->ring_.has_last()) stream->cancel("the reader closed the stream before its end");
    auto& self = *stream;
    if (self.chunks_ > 0) self.outlived_ = std::move(stream);
  }

  Result<std::optional<Chunk>> next(milliseconds timeout) {
    auto entry = wait_for(ring_, regions_.woken_by(), subscription_, timeout, [this] { return look_for_next(); });
    if (!entry) return fail(std::move(entry.error()));
    const auto& [number, buffer, length, offset, last] = (*entry)->entry;
    if ((*entry)->end) return std::optional<Chunk>();
    if (length == 0) {  // the last, and empty: only to say so
      ring_.give_back(number);
      return std::optional<Chunk>();
    }
    ++chunks_;
    return std::optional<Chunk>(Chunk(*this, regions_.buffer(buffer).first(length), offset, number, last));
  }

  void give_back(std::uint32_t number) noexcept {
    ring_.give_back(number);
    if (--chunks_ == 0) outlived_.reset();
  }

  void cancel(std::string_view reason) noexcept {
    if (!ring_.is_over()) ring_.give_up(reason);
  }

  Result<void> subscribe(Token token) { return subscription_.begin(*this, Event::Kind::stream_readable, token); }
  void unsubscribe() noexcept {
    subscription_.end();
    ring_.stop_waiting();
  }

  [[nodiscard]] Look look() noexcept override {
    const auto idle = ring_.is_idle(Announce::yes);
    return {.changed = !idle || !*idle || ring_.has_more(), .armed = true};
  }

  [[nodiscard]] const RingReader& ring() const noexcept { return ring_; }

 private:
  struct Next {
    RingReader::Entry entry;
    bool end = false;
  };
  Result<std::optional<Next>> look_for_next() {
    if (ring_.has_last()) return std::optional(Next{{}, true});
    if (ring_.holds_all())
      return fail(Errc::misuse, "all chunks of the stream are in use; give one back before taking the next");
    auto entry = ring_.take();
    if (!entry) return fail(std::move(entry.error()));
    if (!*entry) return std::optional<Next>();
    return std::optional(Next{**entry, false});
  }

  StreamRegions regions_;
  RingReader ring_;
  Subscription subscription_{regions_.woken_by()};
  std::size_t chunks_ = 0;                  // in use
  std::shared_ptr<ReaderStream> outlived_;  // this object, while chunks have outlived the StreamReader
};

}  // namespace detail

// --- the public classes ---

StreamWriter::StreamWriter(std::shared_ptr<detail::WriterStream> stream) noexcept : stream_(std::move(stream)) {}
StreamWriter::StreamWriter(StreamWriter&&) noexcept = default;
StreamWriter& StreamWriter::operator=(StreamWriter&&) noexcept = default;
StreamWriter::~StreamWriter() = default;

Result<std::span<std::byte>> StreamWriter::begin(std::chrono::milliseconds timeout) { return stream_->begin(timeout); }
Result<void> StreamWriter::commit(std::size_t length, bool last) { return stream_->commit(length, last); }

Result<void> StreamWriter::write(std::span<const std::byte> bytes, std::chrono::milliseconds timeout) {
  const auto deadline = deadline_in(timeout);
  while (!bytes.empty()) {
    auto buffer = begin(detail::WriterStream::left(deadline));
    if (!buffer) return fail(std::move(buffer.error()));
    const auto length = std::min(bytes.size(), buffer->size());
    copy_past_caches(*buffer, bytes.first(length));
    if (auto committed = commit(length); !committed) return committed;
    bytes = bytes.subspan(length);
  }
  return {};
}

Result<void> StreamWriter::finish(std::chrono::milliseconds timeout) { return stream_->finish(timeout); }
void StreamWriter::abort(std::string_view reason) noexcept { stream_->abort(reason); }
std::uint64_t StreamWriter::written() const noexcept { return stream_->ring().written(); }
std::uint64_t StreamWriter::taken() const noexcept { return stream_->ring().taken(); }
std::optional<std::uint64_t> StreamWriter::total_length() const noexcept {
  return stream_->ring().shape().total_length;
}
std::uint64_t StreamWriter::chunk_size() const noexcept { return stream_->ring().shape().chunk_size; }
Result<void> StreamWriter::subscribe(Token token) { return stream_->subscribe(token); }
void StreamWriter::unsubscribe() noexcept { stream_->unsubscribe(); }

Chunk& Chunk::operator=(Chunk&& other) noexcept {
  if (this == &other) return *this;
  if (stream_) give_back();
  stream_ = std::exchange(other.stream_, nullptr);
  data_ = std::exchange(other.data_, {});
  offset_ = other.offset_;
  number_ = other.number_;
  last_ = other.last_;
  return *this;
}

void Chunk::give_back() noexcept { std::exchange(stream_, nullptr)->give_back(number_); }

StreamReader::StreamReader(std::shared_ptr<detail::ReaderStream> stream) noexcept : stream_(std::move(stream)) {}
StreamReader::StreamReader(StreamReader&&) noexcept = default;
StreamReader& StreamReader::operator=(StreamReader&& other) noexcept {
  if (this == &other) return *this;
  detail::ReaderStream::close(std::exchange(stream_, std::move(other.stream_)));
  return *this;
}
StreamReader::~StreamReader() { detail::ReaderStream::close(std::move(stream_)); }

Result<std::optional<Chunk>> StreamReader::next(std::chrono::milliseconds timeout) { return stream_->next(timeout); }
void StreamReader::cancel(std::string_view reason) noexcept { stream_->cancel(reason); }
std::uint64_t StreamReader::taken() const noexcept { return stream_->ring().taken(); }
std::optional<std::uint64_t> StreamReader::total_length() const noexcept {
  return stream_->ring().shape().total_length;
}
std::uint64_t StreamReader::chunk_size() const noexcept { return stream_->ring().shape().chunk_size; }
Result<void> StreamReader::subscribe(Token token) { return stream_->subscribe(token); }
void StreamReader::unsubscribe() noexcept { stream_->unsubscribe(); }

// --- making and opening them ---

namespace {

Result<StreamRegions> create_stream(Client& client, std::shared_ptr<detail::ClientCore> core, std::string_view name,
                                    const StreamOptions& options, StreamRole role) {
  const auto shape = StreamShape::make(options.buffers, options.chunk_size, options.total_length);
  if (!shape) return fail(shape.error());
  return StreamRegions::create(client, std::move(core), name, *shape, role);
}

}  // namespace

Result<StreamWriter> Client::create_stream_writer(std::string_view name, const StreamOptions& options) {
  auto regions = create_stream(*this, core_, name, options, StreamRole::writer);
  if (!regions) return fail(std::move(regions.error()));
  return StreamWriter(std::make_shared<detail::WriterStream>(std::move(*regions)));
}
Result<StreamReader> Client::create_stream_reader(std::string_view name, const StreamOptions& options) {
  auto regions = create_stream(*this, core_, name, options, StreamRole::reader);
  if (!regions) return fail(std::move(regions.error()));
  return StreamReader(std::make_shared<detail::ReaderStream>(std::move(*regions)));
}
Result<StreamWriter> Client::open_stream_writer(std::string_view name) {
  auto regions = StreamRegions::open(*this, core_, name, StreamRole::writer);
  if (!regions) return fail(std::move(regions.error()));
  return StreamWriter(std::make_shared<detail::WriterStream>(std::move(*regions)));
}
Result<StreamReader> Client::open_stream_reader(std::string_view name) {
  auto regions = StreamRegions::open(*this, core_, name, StreamRole::reader);
  if (!regions) return fail(std::move(regions.error()));
  return StreamReader(std::make_shared<detail::ReaderStream>(std::move(*regions)));
}

}  // namespace memio

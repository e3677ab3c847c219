// SPDX-License-Identifier: MIT
#include "stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "file.h"
#include "progress.h"

namespace memio::ctl {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds for_ever{-1};
// One who makes a stream is done in much less.
constexpr milliseconds patience{5000};

// Opens the side of a stream that somebody else has made, or makes it. Both may come at the same moment: the one who
// finds the names taken waits for the other to be ready.
template <class Open, class Create>
auto meet(Client& client, const std::string& name, Open open, Create create) -> decltype(open()) {
  auto side = open();
  if (side || side.error().code != Errc::no_such_region) return side;
  side = create();
  if (side || side.error().code != Errc::region_exists) return side;
  auto watcher = client.watch(name + "__ctrl", false);
  if (!watcher) return fail(std::move(watcher.error()));
  for (auto event = watcher->wait(patience); event; event = watcher->wait(patience))
    if (event->kind == EventKind::present || event->kind == EventKind::created) return open();
  return side;
}

// Waits for input, and looks after the connection meanwhile. Error: what has ended the stream.
Result<void> wait_for_input(Client& client, StreamWriter& writer, int fd) {
  for (;;) {
    std::array<pollfd, 2> wanted{pollfd{fd, POLLIN, 0}, {client.get_fd(), POLLIN, 0}};
    if (::poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR) return fail_errno(errno, "waiting for input");
    std::array<Event, 4> events;
    client.dispatch(events);
    // Whether the other side is still there.
    if (auto begun = writer.begin(milliseconds(0)); !begun && begun.error().code != Errc::timed_out)
      return fail(std::move(begun.error()));
    if (wanted[0].revents != 0) return {};
  }
}

}  // namespace

Result<void> put_stream(Client& client, const PutOptions& options, Output& output) {
  auto file = open_file(options.file, O_RDONLY);
  if (!file) return fail(std::move(file.error()));
  StreamOptions stream;
  struct stat status {};
  if (::fstat(file->get(), &status) == 0 && S_ISREG(status.st_mode) && options.file != "-")
    stream.total_length = static_cast<std::uint64_t>(status.st_size);
  auto writer = meet(
      client, options.name, [&] { return client.open_stream_writer(options.name); },
      [&] { return client.create_stream_writer(options.name, stream); });
  if (!writer) return fail(std::move(writer.error()));
  if (auto subscribed = writer->subscribe({}); !subscribed) return subscribed;
  Progress progress(options.name, stream.total_length);
  for (;;) {
    if (auto waited = wait_for_input(client, *writer, file->get()); !waited) return waited;
    auto buffer = writer->begin(for_ever);
    if (!buffer) return fail(std::move(buffer.error()));
    auto n = read_some(file->get(), *buffer, options.file);
    if (!n) {
      writer->abort("its input could not be read to the end");
      return fail(std::move(n.error()));
    }
    if (*n == 0) break;
    if (auto committed = writer->commit(*n); !committed) return committed;
    progress.show(writer->taken());
  }
  if (auto finished = writer->finish(for_ever); !finished) return finished;
  progress.end();
  output.streamed(options.name, writer->written(), progress.time());
  return {};
}

Result<void> get_stream(Client& client, const GetOptions& options, Output& output) {
  auto reader = meet(
      client, options.name, [&] { return client.open_stream_reader(options.name); },
      [&] { return client.create_stream_reader(options.name); });
  if (!reader) return fail(std::move(reader.error()));
  auto file = open_file(options.file, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return fail(std::move(file.error()));
  Progress progress(options.name, reader->total_length());
  for (;;) {
    const auto chunk = reader->next(for_ever);
    if (!chunk) return fail(chunk.error());
    if (!*chunk) break;
    if (auto written = write_full(file->get(), (*chunk)->data(), output_name(options.file)); !written) {
      reader->cancel("its output could not be written");
      return written;
    }
    client.dispatch({});  // a slow output must not keep the connection waiting
    progress.show(reader->taken());
  }
  if (auto closed = close_file(std::move(*file), output_name(options.file)); !closed) return closed;
  progress.end();
  // Standard output has the bytes.
  if (options.file != "-") output.streamed(options.name, reader->taken(), progress.time());
  return {};
}

}  // namespace memio::ctl

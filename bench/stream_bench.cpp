// SPDX-License-Identifier: MIT
//
// 1 GiB from one process to another, which keeps it, in chunks of 1 MiB. Every byte is copied twice: out of the memory
// of the one, and into that of the other.
//
//   memio   StreamWriter::write() copies into the buffers of a stream of the default size; the reader copies each chunk
//           out and gives it back. Each side sleeps when it has to
//   memcpy  the two copies in one process that does nothing else: into one of four buffers, and out of it again
//   socket  write(2) of 1 MiB each into a Unix stream socket, and read(2) straight to where the bytes are to be
//
// Both ends have 64 MiB, more than the caches hold, and go over them again and again. The clock stops when the reader
// has all. Memory was touched before. Real time.

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "daemon.h"
#include "must.h"
#include "run.h"

namespace {

using namespace memio;
using namespace memio::bench;

constexpr std::size_t chunk = std::size_t{1} << 20;
constexpr std::size_t total = std::size_t{1} << 30;
constexpr std::size_t memory = std::size_t{64} << 20;
constexpr std::size_t buffers = 4;
constexpr unsigned writer_cpu = 0;
constexpr unsigned reader_cpu = 1;
constexpr std::chrono::milliseconds for_ever{-1};

// The reader's word that it has everything.
class Answer {
 public:
  Answer() {
    int ends[2];
    must(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "making a socketpair");
    give_ = UniqueFd(ends[0]);
    take_ = UniqueFd(ends[1]);
  }
  void give() const { must(::write(give_.get(), "", 1), "answering"); }
  void take() const {
    char byte = 0;
    must(::read(take_.get(), &byte, 1), "waiting for the answer");
  }

 private:
  UniqueFd give_;
  UniqueFd take_;
};

std::vector<std::byte> make_memory() {
  std::vector<std::byte> bytes(memory);
  for (std::size_t i = 0; i < memory; ++i) bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  return bytes;
}

int read_stream(const Daemon& daemon, const Answer& answer) {
  pin_to_cpu(reader_cpu);
  auto client = daemon.connect();
  auto reader = must(client.open_stream_reader("bench"));
  auto kept = make_memory();
  for (std::size_t got = 0;;) {
    const auto taken = must(reader.next(for_ever));
    const auto data = taken->data();
    std::memcpy(kept.data() + got % memory, data.data(), data.size());
    got += data.size();
    if (got % total == 0) answer.give();
  }
}

int read_socket(int socket, const Answer& answer) {
  pin_to_cpu(reader_cpu);
  auto kept = make_memory();
  for (std::size_t got = 0;;) {
    const auto room = chunk - got % chunk;
    got += static_cast<std::size_t>(must(::read(socket, kept.data() + got % memory, room), "reading"));
    if (got % total == 0) answer.give();
  }
}

}  // namespace

int main(int argc, char** argv) {
  run_before_others();
  const Daemon daemon;
  auto client = daemon.connect();
  auto writer = must(client.create_stream_writer("bench", {.chunk_size = chunk, .buffers = buffers}));
  const Answer answer;
  const Process reader = Process::fork([&] { return read_stream(daemon, answer); });

  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "making a socketpair");
  const UniqueFd socket(ends[0]);
  const UniqueFd other(ends[1]);
  const Answer socket_answer;
  const Process socket_reader = Process::fork([&] { return read_socket(other.get(), socket_answer); });

  pin_to_cpu(writer_cpu);
  const auto source = make_memory();
  auto kept = make_memory();
  std::array<std::vector<std::byte>, buffers> between;
  between.fill(std::vector<std::byte>(chunk, std::byte{1}));

  const auto through_stream = [&] {
    for (std::size_t sent = 0; sent < total; sent += chunk)
      must(writer.write(std::span(source).subspan(sent % memory, chunk), for_ever));
    answer.take();
  };
  const auto through_socket = [&] {
    for (std::size_t sent = 0; sent < total;)
      sent += static_cast<std::size_t>(
          must(::write(socket.get(), source.data() + sent % memory, chunk - sent % chunk), "writing"));
    socket_answer.take();
  };
  const auto by_memcpy = [&] {
    for (std::size_t copied = 0; copied < total; copied += chunk) {
      auto& buffer = between[copied / chunk % buffers];
      std::memcpy(buffer.data(), source.data() + copied % memory, chunk);
      benchmark::DoNotOptimize(buffer.data());
      std::memcpy(kept.data() + copied % memory, buffer.data(), chunk);
      benchmark::ClobberMemory();
    }
  };
  through_stream();
  through_socket();

  const auto add_each = [](const char* name, auto transfer) {
    add(name,
        [transfer](benchmark::State& state) {
          for (auto _ : state) transfer();
        })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  add_each("stream/memio", through_stream);
  add_each("stream/socket", through_socket);
  add_each("stream/memcpy", by_memcpy);
  return run(argc, argv);
}

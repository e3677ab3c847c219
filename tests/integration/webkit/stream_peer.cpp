// SPDX-License-Identifier: MIT
// The native side of a stream, as a program of its own that can be killed:
//
//   stream-peer SOCKET create|open read NAME [STOP]             reads to the end, or stops for good after STOP bytes
//   stream-peer SOCKET create|open read NAME stall SEED         reads to the end, and does nothing for a while now and
//   then stream-peer SOCKET create|open write NAME BYTES [STOP]      writes the bytes of stream_bytes.h stream-peer
//   SOCKET create read|write NAME give-up BYTES     gives up after so many, with the reason "enough"
//
// Prints "ready" when it has the stream, "stopped" if it stops, and at the end one line of JSON: bytes, sha256, error,
// message.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "memio/client.h"
#include "stream_bytes.h"

namespace memio::test {

namespace {

constexpr std::chrono::milliseconds for_ever{-1};

struct Task {
  bool create = false;
  bool read = false;
  std::string name;
  std::uint64_t length = 0;
  std::optional<std::uint64_t> stop;
  std::optional<std::uint64_t> give_up;
  std::optional<std::mt19937_64> stalls;
};

void say(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

[[noreturn]] void stop_here() {
  say("stopped");
  for (;;) ::pause();
}

// After a tenth of the chunks, for up to 40 ms: long enough that the writer finds the ring full.
void stall_at_random(std::mt19937_64& random) {
  if (random() % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 41));
}

struct Outcome {
  std::uint64_t bytes = 0;
  Sha256 sha;
  std::optional<Error> error;
};

void read(Client& client, Task& task, Outcome& result) {
  auto reader = task.create ? client.create_stream_reader(task.name) : client.open_stream_reader(task.name);
  if (!reader) return void(result.error = reader.error());
  say("ready");
  for (;;) {
    auto chunk = reader->next(for_ever);
    if (!chunk) return void(result.error = chunk.error());
    if (!*chunk) return;
    result.bytes += (*chunk)->data().size();
    result.sha.add((*chunk)->data());
    if (task.stop && result.bytes >= *task.stop) stop_here();
    if (task.give_up && result.bytes >= *task.give_up) return reader->cancel("enough");
    if (task.stalls) stall_at_random(*task.stalls);
  }
}

void write(Client& client, const Task& task, Outcome& result) {
  const StreamOptions options{.total_length = task.length};
  auto writer = task.create ? client.create_stream_writer(task.name, options) : client.open_stream_writer(task.name);
  if (!writer) return void(result.error = writer.error());
  say("ready");
  std::vector<std::byte> block(stream_block);
  for (std::uint64_t at = 0; at < task.length; at += block.size()) {
    const auto part = std::span(block).first(std::min<std::uint64_t>(block.size(), task.length - at));
    fill_block(block, at / stream_block);
    if (auto written = writer->write(part, for_ever); !written) return void(result.error = written.error());
    result.bytes += part.size();
    result.sha.add(part);
    if (task.stop && result.bytes >= *task.stop) stop_here();
    if (task.give_up && result.bytes >= *task.give_up) return writer->abort("enough");
  }
  if (auto finished = writer->finish(for_ever); !finished) result.error = finished.error();
}

int run(const std::vector<std::string>& arguments) {
  Task task{.create = arguments.at(1) == "create", .read = arguments.at(2) == "read", .name = arguments.at(3)};
  std::size_t next = 4;
  if (!task.read) task.length = std::stoull(arguments.at(next++));
  if (next < arguments.size() && arguments[next] == "give-up")
    task.give_up = std::stoull(arguments.at(next + 1));
  else if (next < arguments.size() && arguments[next] == "stall")
    task.stalls.emplace(std::stoull(arguments.at(next + 1)));
  else if (next < arguments.size())
    task.stop = std::stoull(arguments[next]);
  auto client = Client::connect(arguments.at(0));
  if (!client) return 1;
  Outcome result;
  if (task.read)
    read(*client, task, result);
  else
    write(*client, task, result);
  nlohmann::json line = {{"bytes", result.bytes}, {"sha256", result.sha.hex()}};
  if (result.error) line.update({{"error", result.error->name()}, {"message", result.error->message}});
  say(line.dump());
  return 0;
}

}  // namespace

}  // namespace memio::test

int main(int argc, char** argv) { return memio::test::run({argv + 1, argv + argc}); }

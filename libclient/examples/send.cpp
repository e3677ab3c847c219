// Sends standard input as the stream "parcel".
#include <memio/client.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

int main() {
  constexpr std::chrono::milliseconds for_ever{-1};
  const auto failed = [](const memio::Error& error) {
    std::cerr << error.text() << '\n';
    return 1;
  };
  auto client = memio::Client::connect();
  if (!client) return failed(client.error());
  auto writer = client->create_stream_writer("parcel");
  if (!writer) return failed(writer.error());
  for (;;) {
    // The bytes are read straight into the memory that the other side will find them in.
    auto buffer = writer->begin(for_ever);
    if (!buffer) return failed(buffer.error());
    const auto n = ::read(STDIN_FILENO, buffer->data(), buffer->size());
    if (n < 0) return failed({memio::Errc::system, errno, "cannot read standard input"});
    if (n == 0) break;
    if (auto committed = writer->commit(static_cast<std::size_t>(n)); !committed) return failed(committed.error());
  }
  if (auto finished = writer->finish(for_ever); !finished) return failed(finished.error());
  return 0;
}

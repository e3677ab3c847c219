// SPDX-License-Identifier: MIT
// A command and its use. Without arguments it handles "text/upper"; with one it has that done: memio-command-cpp hello
#include <memio/client.h>

#include <algorithm>
#include <cctype>
#include <iostream>
#include <string>

namespace {

int fail(const memio::Error& error) {
  std::cerr << error.text() << '\n';
  return 1;
}

int handle(memio::Client& client) {
  auto handler = client.handle("text/upper");
  if (!handler) return fail(handler.error());
  std::cout << "handling text/upper" << std::endl;
  for (;;) {
    auto call = handler->wait(std::chrono::milliseconds(-1));
    if (!call) return fail(call.error());
    std::string text = call->arguments();  // JSON, here a string in its quotes
    if (text.front() != '"') {
      call->reject("NotText", "text/upper takes a string").value();
      continue;
    }
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    if (auto answered = call->answer(text); !answered) return fail(answered.error());
    // Tells everybody who listens to it.
    if (auto emitted = client.emit("text/done", text); !emitted) return fail(emitted.error());
  }
}

}  // namespace

int main(int argc, char** argv) {
  auto client = memio::Client::connect();
  if (!client) return fail(client.error());
  if (argc < 2) return handle(*client);
  auto answer = client->call("text/upper", '"' + std::string(argv[1]) + '"', {.timeout = std::chrono::seconds(5)});
  if (!answer) return fail(answer.error());
  std::cout << answer->result << '\n';
  return 0;
}

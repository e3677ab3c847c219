// SPDX-License-Identifier: MIT
// A command and its use. Without arguments it handles "text/upper"; with one it has that done: memio-command-cpp hello
#include <memio/client.h>

#include <algorithm>
#include <cctype>
#include <iostream>
#include <string>

namespace {

int report(const memio::Error& error) {
  std::cerr << error.text() << '\n';
  return 1;
}

int handle(memio::Client& client) {
  auto handler = client.handle("text/upper");
  if (!handler) return report(handler.error());
  std::cout << "handling text/upper" << std::endl;
  for (;;) {
    auto call = handler->wait(std::chrono::milliseconds(-1));
    if (!call) return report(call.error());
    std::string text = call->arguments();  // JSON, here a string in its quotes
    if (text.front() != '"') {
      if (auto rejected = call->reject("NotText", "text/upper takes a string"); !rejected)
        return report(rejected.error());
      continue;
    }
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    if (auto answered = call->answer(text); !answered) return report(answered.error());
    // Tells everybody who listens to it.
    if (auto emitted = client.emit("text/done", text); !emitted) return report(emitted.error());
  }
}

}  // namespace

int main(int argc, char** argv) {
  auto client = memio::Client::connect();
  if (!client) return report(client.error());
  if (argc < 2) return handle(*client);
  auto answer = client->call("text/upper", '"' + std::string(argv[1]) + '"', {.timeout = std::chrono::seconds(5)});
  if (!answer) return report(answer.error());
  std::cout << answer->result << '\n';
  return 0;
}

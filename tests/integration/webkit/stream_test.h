// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "stream_bytes.h"
#include "support/process.h"
#include "webkit_test.h"

namespace memio::test {

// A stream_peer, and what it has printed.
class Peer {
 public:
  explicit Peer(std::vector<std::string> arguments)
      : process_(Process::run(
            [&] {
              arguments.insert(arguments.begin(), MEMIO_STREAM_PEER);
              return arguments;
            }(),
            {}, true)) {}

  // Runs the main loop until it has printed another line.
  std::string line(std::chrono::milliseconds timeout = 60s) {
    const auto whole = [&] {
      pollfd readable{process_.output(), POLLIN, 0};
      while (text_.find('\n') == std::string::npos && ::poll(&readable, 1, 0) > 0) {
        char part[4096];
        const auto count = ::read(process_.output(), part, sizeof part);
        if (count <= 0) break;
        text_.append(part, static_cast<std::size_t>(count));
      }
      return text_.find('\n') != std::string::npos;
    };
    if (!run_until(whole, timeout)) return "(nothing)";
    const auto end = text_.find('\n');
    std::string line = text_.substr(0, end);
    text_.erase(0, end + 1);
    return line;
  }
  Json result() { return Json::parse(line(), nullptr, false); }
  void kill() {
    process_.signal(SIGKILL);
    process_.wait();
  }
  [[nodiscard]] pid_t pid() const { return process_.pid(); }

 private:
  Process process_;
  std::string text_;
};

class StreamTest : public WebKitTest {
 protected:
  Peer start_peer(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), daemon_.socket_path());
    return Peer(std::move(arguments));
  }
  // In the page: `stream`, which joins "t/s" or makes it, and bytesAt().
  static Json join(Browser& browser, const std::string& options) {
    return browser.run(bytes_in_javascript + std::string(R"js(
      globalThis.bytesAt = bytesAt;
      globalThis.nameOf = e => e.name;
      globalThis.hex = async bytes => [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
        .map(b => b.toString(16).padStart(2, '0')).join('');
      globalThis.all = length => { const to = new Uint8Array(length);
        for (let at = 0; at < length; at += 2 ** 20) to.set(bytesAt(at / 2 ** 20).subarray(0, length - at), at); return to; };
      globalThis.stream = await memio.stream('t/s', )js") +
                       options + "); return 1;");
  }
  // Nothing of a stream is left: names, and in the end handles.
  bool nothing_left() {
    return run_until([&] { return client_.list()->empty(); });
  }
};

}  // namespace memio::test

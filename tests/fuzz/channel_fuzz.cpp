// SPDX-License-Identifier: MIT
// Random bytes and descriptors against a Channel that reads at most 143 bytes at a time. Every message that comes out
// was sent; every descriptor is either handed out or closed.

#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "fuzz.h"
#include "memio/channel.h"
#include "memio/message.h"
#include "peer.h"

namespace {

using memio::Channel;
using memio::UniqueFd;
using memio::fuzz::count_fds;
using memio::fuzz::Input;
using memio::fuzz::require;
using memio::fuzz::send;

void run(Input input) {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
  Channel channel(UniqueFd{ends[0]}, {.message = 200, .queued = 4096, .fds = 4});
  UniqueFd peer{ends[1]};
  std::string sent;
  std::string received;
  const auto receive = [&](std::size_t most) {
    const auto result = channel.receive(most);
    if (!result) return false;
    while (auto frame = channel.next()) {
      require(frame->text.size() <= 200 && frame->fds.size() <= 4);
      received.append(frame->text).push_back('\0');
      require(sent.starts_with(received));
      if (const auto call = memio::decode_call(frame->text)) {
        [[maybe_unused]] const auto queued = channel.send(memio::encode(*call));  // may be full
      }
    }
    return *result != Channel::Input::end;
  };
  while (!input.empty()) {
    const auto what = input.byte();
    if (what < 160) {
      const auto bytes = input.take(1U + what % 80U);
      if (bytes.empty()) break;
      const std::size_t fds = what % 3 == 0 ? what % 7U : 0;
      if (!send(peer.get(), bytes, fds)) break;
      sent += bytes;
    } else if (what < 240) {
      if (!receive(1U + input.byte() % 143U)) return;
    } else if (!channel.flush()) {
      return;
    }
  }
  if (::shutdown(peer.get(), SHUT_WR) != 0) return;
  while (receive(143)) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto before = count_fds();
  run(Input(data, size));
  require(count_fds() == before);
  return 0;
}

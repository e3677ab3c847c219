// SPDX-License-Identifier: MIT
// Random bytes and descriptors against a Channel that reads at most 143 bytes at a time. Every message that comes out
// was sent; every descriptor is either handed out or closed.

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "fuzz.h"
#include "memio/channel.h"
#include "memio/message.h"

namespace {

using memio::Channel;
using memio::UniqueFd;
using memio::fuzz::Input;
using memio::fuzz::require;

std::size_t count_fds() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  require(directory != nullptr);
  while (::readdir(directory)) ++count;
  ::closedir(directory);
  return count;
}

// False if the socket takes no more.
bool send(int socket, std::string_view bytes, std::size_t fds) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(32 * sizeof(int))> control{};
  const UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
  if (fds > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds * sizeof(int));
    for (std::size_t i = 0; i < fds; ++i) {
      const int number = fd.get();
      std::memcpy(CMSG_DATA(c) + i * sizeof(int), &number, sizeof number);
    }
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes.size());
}

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

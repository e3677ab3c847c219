// SPDX-License-Identifier: MIT
// Random calls, a line each, to a whole broker: its sessions, its dispatcher, its methods. Whatever is sent, it answers
// or ends the connection, and nothing is left when the connection has ended.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>

#include "broker.h"
#include "fuzz.h"
#include "log.h"
#include "peer.h"

namespace {

using namespace memio;          // NOLINT(google-build-using-namespace)
using namespace memio::broker;  // NOLINT(google-build-using-namespace)
using memio::fuzz::count_fds;
using memio::fuzz::Input;
using memio::fuzz::require;

// Small quotas, so that they are reached; no slowing down, so that it takes no time.
Config config() {
  Config made;
  for (auto* quota : {&made.limits.user, &made.limits.connection, &made.limits.scoped}) {
    quota->regions = 4;
    quota->handles = 6;
    quota->connections = 6;
    quota->watches = 3;
    quota->commands = 3;
    quota->listens = 3;
    quota->calls = 3;
    quota->mail_bytes = 2000;
    quota->messages_per_second = 1'000'000'000;
  }
  return made;
}

void run(Input input) {
  auto loop = EventLoop::make();
  require(loop.has_value());
  Notifier notifier(*loop);
  Store store(*loop, notifier);
  PassedFds none;
  require(store.open(none, true).has_value());
  auto broker = Broker::make(*loop, config(), notifier, store);
  require(broker.has_value());
  (*broker)->begin();
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
  const UniqueFd peer(ends[1]);
  {
    const auto user = (*broker)->accounts().of_user(0);
    require((*broker)->add_scoped_session(UniqueFd(ends[0]), Grants(), *user).has_value());
  }
  const std::size_t fds = input.empty() ? 0 : input.byte() % 8U;
  const auto rest = input.take(60'000);
  std::string text(rest.begin(), rest.end());
  std::ranges::replace(text, '\n', '\0');
  if (!text.empty()) require(memio::fuzz::send(peer.get(), text, fds));
  require(::shutdown(peer.get(), SHUT_WR) == 0);
  // Answers are taken; descriptors that come with them are closed by not asking for them.
  auto answers = loop->add_io(peer.get(), EPOLLIN, [&](std::uint32_t) {
    std::array<char, 65536> buffer;
    const auto n = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
    // Scoped connections end after it, since nobody has their other ends any more.
    if (n <= 0 && (*broker)->sessions().empty()) loop->exit(0);
  });
  require(answers.has_value());
  require(loop->run().value_or(1) == 0);
  require((*broker)->accounts().all().empty() || !(*broker)->registry().regions().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  spdlog::set_level(spdlog::level::off);
  const auto before = count_fds();
  run(Input(data, size));
  require(count_fds() == before);
  return 0;
}

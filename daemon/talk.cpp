// SPDX-License-Identifier: MIT
#include "talk.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace memio::broker {

Result<void> Talk::say(const std::string& text, const std::vector<int>& fds) {
  std::vector<UniqueFd> copies;
  copies.reserve(fds.size());
  for (const int fd : fds) copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!std::ranges::all_of(copies, &UniqueFd::valid)) return fail_errno(errno, "handing over a file descriptor");
  if (auto queued = channel_.send(text, std::move(copies)); !queued) return queued;
  for (;;) {
    if (auto flushed = channel_.flush(); !flushed) return flushed;
    if (!channel_.wants_write()) return {};
    if (auto ready = wait_for(POLLOUT); !ready) return ready;
  }
}

Result<Frame> Talk::hear() {
  for (;;) {
    if (auto frame = channel_.next()) return std::move(*frame);
    if (auto ready = wait_for(POLLIN); !ready) return fail(std::move(ready.error()));
    auto input = channel_.receive();
    if (!input) return fail(std::move(input.error()));
    if (*input == Channel::Input::end) return fail(Errc::disconnected, "the other memiod has closed the connection");
  }
}

Result<void> Talk::wait_for(short events) const {
  for (;;) {
    std::chrono::milliseconds left(-1);  // without end
    if (until_) left = std::chrono::ceil<std::chrono::milliseconds>(std::max(*until_ - Clock::now(), {}));
    pollfd wanted{channel_.fd(), events, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (ready > 0) return {};
    if (ready == 0)
      return fail(Errc::timed_out, "the other memiod took more than " + std::to_string(longest.count()) + " s");
    // After the commit it is too late to give up for a lack that passes.
    if (errno != ENOMEM && errno != EINTR) return fail_errno(errno, "waiting for the other memiod");
  }
}

}  // namespace memio::broker

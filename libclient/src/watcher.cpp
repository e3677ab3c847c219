// SPDX-License-Identifier: MIT
#include "watcher.h"

#include <poll.h>

#include <cerrno>

#include "client_core.h"

namespace memio {

namespace {

// Waits until the watch's socket is readable. False if the deadline passed.
Result<bool> wait_readable(int fd, Deadline deadline) {
  pollfd wanted{fd, POLLIN, 0};
  const int n = ::poll(&wanted, 1, milliseconds_left(deadline));
  if (n < 0 && errno != EINTR) return fail_errno(errno, "waiting for a watch");
  return n != 0 || !is_past(deadline);
}

}  // namespace

Watcher::Impl::~Impl() {
  if (registered) core->remove_watcher(*this);
}

Result<void> Watcher::Impl::start(std::string_view pattern, bool versions) {
  protocol::WatchParameters parameters;
  if (!pattern.empty()) parameters.pattern = std::string(pattern);
  parameters.versions = versions;
  Call call{std::string(protocol::watch_method)};
  call.parameters = protocol::to_json(parameters);
  call.more = true;
  auto result = channel.send(encode(call));
  if (result) result = channel.flush();
  if (!result) return result;
  while (!pump()) {
    auto readable = wait_readable(channel.fd(), std::nullopt);
    if (!readable) return fail(std::move(readable.error()));
  }
  if (ended && events.empty()) return fail(end_reason);
  return {};
}

bool Watcher::Impl::pump() noexcept {
  try {
    while (!ended) {
      auto input = channel.receive();
      if (!input) {
        end(std::move(input.error()));
        break;
      }
      while (auto frame = channel.next())
        if (auto taken = take(std::move(*frame)); !taken) end(std::move(taken.error()));
      if (*input == Channel::Input::end) end(Error{Errc::disconnected});
      if (*input == Channel::Input::none) break;
    }
  } catch (const std::exception& error) {
    end(Error{Errc::disconnected, 0, error.what()});
  }
  return ended || !events.empty();
}

Result<void> Watcher::Impl::take(Frame frame) {
  auto reply = decode_reply(frame.text);
  if (!reply) return fail(std::move(reply.error()));
  if (!reply->error.empty()) return fail(to_error(*reply));
  auto parsed = protocol::parse<protocol::WatchReply>(reply->parameters);
  if (!parsed) return fail(Errc::protocol_violation, "memiod sent a watch event with a wrong " + parsed.error().message);
  events.push_back({parsed->event, std::move(parsed->region), parsed->version});
  return {};
}

void Watcher::Impl::end(Error reason) noexcept {
  if (ended) return;
  ended = true;
  end_reason = std::move(reason);
  if (registered) core->stop_polling(channel.fd());
}

Watcher::Watcher(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Watcher::Watcher(Watcher&&) noexcept = default;
Watcher& Watcher::operator=(Watcher&&) noexcept = default;
Watcher::~Watcher() = default;

Result<std::optional<WatchEvent>> Watcher::next() {
  if (impl_->events.empty()) impl_->pump();
  if (!impl_->events.empty()) {
    WatchEvent event = std::move(impl_->events.front());
    impl_->events.pop_front();
    return std::optional<WatchEvent>(std::move(event));
  }
  if (impl_->ended) return fail(impl_->end_reason);
  return std::optional<WatchEvent>();
}

Result<WatchEvent> Watcher::wait(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_in(timeout);
  for (;;) {
    auto event = next();
    if (!event) return fail(std::move(event.error()));
    if (*event) return std::move(**event);
    auto readable = wait_readable(impl_->channel.fd(), deadline);
    if (!readable) return fail(std::move(readable.error()));
    if (!*readable) return fail(Errc::timed_out);
  }
}

}  // namespace memio

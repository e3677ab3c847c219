// SPDX-License-Identifier: MIT
#include "watcher.h"

#include <poll.h>

#include <cerrno>

#include "client_core.h"

namespace memio {

Watcher::Impl::~Impl() {
  if (registered) core->remove_watcher(*this);
}

Result<void> Watcher::Impl::start(UniqueFd socket) {
  if (auto begun = begin(std::move(socket)); !begun) return begun;
  while (!pump())
    if (auto waited = wait(std::nullopt); !waited) return fail(std::move(waited.error()));
  if (ended && events.empty()) return fail(end_reason);
  return {};
}

Result<void> Watcher::Impl::begin(UniqueFd socket) {
  channel.emplace(std::move(socket));
  return send_call();
}

Result<void> Watcher::Impl::send_call() {
  protocol::WatchParameters parameters{.versions = versions};
  if (!pattern.empty()) parameters.pattern = pattern;
  auto result = channel->send(
      encode(WrittenCall{.method = protocol::watch_method, .parameters = protocol::to_text(parameters), .more = true}));
  if (result) result = channel->flush();
  return result;
}

void Watcher::Impl::resume(UniqueFd socket) noexcept {
  try {
    channel.emplace(std::move(socket));
    lost = false;
    auto result = send_call();
    if (result) result = core->poll_watcher(*this);
    if (!result) lose(std::move(result.error()));
  } catch (const std::exception& error) {
    lose(Error{Errc::disconnected, 0, error.what()});
  }
}

void Watcher::Impl::lose(Error reason) noexcept {
  if (ended) return;
  if (registered) core->stop_polling(channel->fd());
  if (!registered || !core->will_come_back() || reason.code != Errc::disconnected) {
    ended = true;
    end_reason = std::move(reason);
    if (registered) core->look_again(source);
    return;
  }
  // If memiod is gone too, the core resumes us when it has found it. Which of the two ends is noticed first is chance.
  lost = true;
  if (!core->connected()) return;
  core->begin_asking();
  core->resume(*this);
}

bool Watcher::Impl::pump() noexcept {
  try {
    while (!ended && !lost) {
      auto input = channel->receive();
      if (!input) {
        lose(std::move(input.error()));
        break;
      }
      while (auto frame = channel->next())
        if (auto taken = take(*frame); !taken) lose(std::move(taken.error()));
      if (*input == Channel::Input::end) lose(Error{Errc::disconnected});
      if (*input == Channel::Input::none) break;
    }
  } catch (const std::exception& error) {
    lose(Error{Errc::disconnected, 0, error.what()});
  }
  return ended || !events.empty();
}

Result<bool> Watcher::Impl::wait(const Deadline& deadline) {
  if (lost) {
    if (auto stepped = core->step(deadline); !stepped) return fail(std::move(stepped.error()));
    return !is_past(deadline);
  }
  pollfd wanted{channel->fd(), POLLIN, 0};
  const int n = ::poll(&wanted, 1, milliseconds_left(deadline));
  if (n < 0 && errno != EINTR) return fail_errno(errno, "waiting for a watch");
  return n != 0 || !is_past(deadline);
}

Result<void> Watcher::Impl::take(const Frame& frame) {
  auto reply = decode_reply(frame.text);
  if (!reply) return fail(std::move(reply.error()));
  if (!reply->error.empty()) return fail(to_error(*reply));
  auto parsed = protocol::parse_reply<protocol::WatchReply>(reply->parameters);
  if (!parsed)
    return fail(Errc::protocol_violation, "memiod sent a watch event with a wrong " + parsed.error().message);
  events.push_back({parsed->event, std::move(parsed->region), parsed->version});
  return {};
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
    auto waited = impl_->wait(deadline);
    if (!waited) return fail(std::move(waited.error()));
    if (!*waited) return fail(Errc::timed_out);
  }
}

}  // namespace memio

// SPDX-License-Identifier: MIT
#include "link.h"

#include <array>
#include <exception>

namespace memio::webext {

Result<std::shared_ptr<Link>> Link::make(UniqueFd socket, std::weak_ptr<LinkListener> listener) {
  auto client = Client::adopt(std::move(socket), true);
  if (!client) return fail(std::move(client.error()));
  return std::make_shared<Link>(std::move(*client), std::move(listener));
}

Link::Link(Client client, std::weak_ptr<LinkListener> listener)
    : client_(std::move(client)),
      listener_(std::move(listener)),
      source_(client_.get_fd(), [this] { on_readable(); }) {}

void Link::on_readable() {
  const auto self = shared_from_this();  // the listener may drop us
  try {
    // What does not fit keeps the descriptor readable, and other sources get their turn in between.
    std::array<Event, 32> events;
    const std::size_t count = client_.dispatch(events);
    const auto listener = listener_.lock();
    if (!listener) return;
    listener->on_dispatched();
    for (std::size_t i = 0; i < count; ++i) {
      if (events[i].kind == Event::Kind::region_changed) listener->on_changed(events[i].token);
      if (events[i].kind == Event::Kind::watch_ready) listener->on_watch(events[i].token);
      if (events[i].kind == Event::Kind::call_arrived) listener->on_call(events[i].token);
      if (events[i].kind == Event::Kind::call_cancelled) listener->on_call_cancelled(events[i].token);
      if (events[i].kind == Event::Kind::message_arrived) listener->on_message(events[i].token);
      if (events[i].kind == Event::Kind::disconnected) listener->on_disconnected();
      if (events[i].kind == Event::Kind::reconnected) listener->on_reconnected();
    }
  } catch (const std::exception& error) {
    g_warning("memio: %s", error.what());
  }
}

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#include "topics.h"

#include <algorithm>

#include "memio/region_name.h"

namespace memio::broker {

std::vector<Topics::Listener>::iterator Topics::find(const Mailbox& mailbox) noexcept {
  return std::ranges::find(listeners_, &mailbox, &Listener::mailbox);
}

Result<void> Topics::listen(std::string pattern, Mailbox& by) {
  auto charge = by.account().charge(Resource::listens);
  if (!charge) return fail(std::move(charge.error()));
  auto found = find(by);
  if (found == listeners_.end()) found = listeners_.insert(found, Listener{&by, {}});
  found->listens.push_back({std::move(pattern), std::move(*charge)});
  return {};
}

Result<void> Topics::unlisten(const std::string& pattern, Mailbox& by) {
  const auto found = find(by);
  if (found == listeners_.end()) return fail(Errc::invalid_parameter, "pattern");
  const auto listen = std::ranges::find(found->listens, pattern, &Listen::pattern);
  if (listen == found->listens.end()) return fail(Errc::invalid_parameter, "pattern");
  found->listens.erase(listen);
  if (found->listens.empty()) listeners_.erase(found);
  return {};
}

std::size_t Topics::emit(const std::string& topic, std::optional<JsonText> payload) {
  ++emitted_;
  std::shared_ptr<const Message> message;
  std::size_t told = 0;
  for (const auto& listener : listeners_) {
    const bool listens =
        std::ranges::any_of(listener.listens, [&](const Listen& listen) { return matches(listen.pattern, topic); });
    if (!listens || !listener.mailbox->may_listen(topic)) continue;
    if (!message) message = make_message(topic, std::move(payload));
    listener.mailbox->post(message);
    ++told;
  }
  return told;
}

void Topics::forget(const Mailbox& mailbox) {
  if (const auto found = find(mailbox); found != listeners_.end()) listeners_.erase(found);
}

std::size_t Topics::listens(const Mailbox& mailbox) const noexcept {
  const auto found = std::ranges::find(listeners_, &mailbox, &Listener::mailbox);
  return found == listeners_.end() ? 0 : found->listens.size();
}

}  // namespace memio::broker

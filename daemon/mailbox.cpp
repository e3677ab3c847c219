// SPDX-License-Identifier: MIT
#include "mailbox.h"

#include "memio/message.h"
#include "memio/protocol_json.h"

namespace memio::broker {

namespace {

// What a message that waits counts as: about what it takes up beside its text.
constexpr std::size_t message_cost = 64;

std::size_t size_of(const Message& message) { return message.text.size() + message_cost; }

std::string text_of(const Message& message, std::optional<std::uint64_t> lost) {
  return encode(
      WrittenReply{.parameters = protocol::to_text(protocol::ReceiveReply{
                       .kind = DeliveryKind::message, .name = message.topic, .value = message.payload, .lost = lost}),
                   .continues = true});
}

}  // namespace

std::shared_ptr<const Message> make_message(std::string topic, std::optional<JsonText> payload) {
  auto made = std::make_shared<Message>();
  made->topic = std::move(topic);
  made->payload = std::move(payload);
  made->text = text_of(*made, std::nullopt);
  return made;
}

protocol::ReceiveReply to_reply(Delivery&& delivery) {
  protocol::ReceiveReply reply{.kind = delivery.kind, .id = delivery.id, .value = std::move(delivery.value)};
  if (!delivery.name.empty()) reply.name = std::move(delivery.name);
  if (!delivery.error) return reply;
  Error& error = *delivery.error;
  reply.error = std::string(error.name());
  if (error.rejection) {
    reply.rejection = error.rejection->error;
    if (!error.rejection->details.empty()) reply.details = JsonText{error.rejection->details};
  }
  reply.message = std::move(error.message);
  return reply;
}

void Mailbox::post(Delivery delivery) {
  const bool uncharged = delivery.kind == DeliveryKind::answer && !delivery.call.valid();
  const std::size_t size = uncharged ? sizeof(Waiting) + (delivery.error ? delivery.error->message.size() : 0) : 0;
  deliveries_.push_back({++posted_, std::move(delivery), size});
  uncharged_bytes_ += size;
  owner_.wake();
}

void Mailbox::post(std::shared_ptr<const Message> message) {
  const auto size = size_of(*message);
  if (!charge_.valid())
    if (auto charge = account_.charge(Resource::mail_bytes, 0)) charge_ = std::move(*charge);
  const auto fits = [&] {
    return messages_.size() < limits_.messages && message_bytes_ + size <= limits_.message_bytes && charge_.valid() &&
           charge_.resize(message_bytes_ + size);
  };
  bool room = fits();
  while (!room && !messages_.empty()) {
    drop_oldest();
    room = fits();
  }
  if (!room) {  // it is larger than all that may wait: then it is lost itself
    ++untold_lost_;
    ++lost_;
    return;
  }
  message_bytes_ += size;
  messages_.push_back({++posted_, std::move(message)});
  owner_.wake();
}

void Mailbox::drop_oldest() {
  message_bytes_ -= size_of(*messages_.front().message);
  messages_.pop_front();
  [[maybe_unused]] const auto smaller = charge_.resize(message_bytes_);
  ++untold_lost_;
  ++lost_;
}

bool Mailbox::withdraw(std::uint64_t call) {
  return std::erase_if(deliveries_, [&](const Waiting& waiting) {
           return waiting.delivery.kind == DeliveryKind::call && waiting.delivery.id == call;
         }) > 0;
}

int Mailbox::flush(int most) {
  short_of_fds_ = false;
  int told = 0;
  for (; told < most && pending() > 0 && owner_.can_send(); ++told) {
    const bool message =
        deliveries_.empty() || (!messages_.empty() && messages_.front().number < deliveries_.front().number);
    if (message)
      send_message();
    else if (!send_delivery())
      break;
  }
  return told;
}

void Mailbox::send_message() {
  const auto message = std::move(messages_.front().message);
  messages_.pop_front();
  message_bytes_ -= size_of(*message);
  [[maybe_unused]] const auto smaller = charge_.resize(message_bytes_);
  if (untold_lost_ == 0) return owner_.send_text(message->text);
  owner_.send_text(text_of(*message, std::exchange(untold_lost_, 0)));
}

bool Mailbox::send_delivery() {
  Delivery& next = deliveries_.front().delivery;
  auto sent = owner_.send(next);
  if (sent && !*sent) {
    short_of_fds_ = true;
    return false;
  }
  auto delivery = std::move(next);
  uncharged_bytes_ -= deliveries_.front().uncharged;
  deliveries_.pop_front();
  if (sent) return true;
  if (delivery.kind == DeliveryKind::call) {
    owner_.on_undeliverable(delivery.id.value_or(0), std::move(sent.error()));
    return true;
  }
  // The caller has no room for what its answer brings: it gets the reason instead.
  delivery.value.reset();
  delivery.attachments = {};
  delivery.error = std::move(sent.error());
  [[maybe_unused]] const auto told = owner_.send(delivery);
  return true;
}

}  // namespace memio::broker

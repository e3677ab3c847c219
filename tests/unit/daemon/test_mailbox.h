// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mailbox.h"
#include "memio/message.h"
#include "memio/protocol_json.h"

namespace memio::broker {

// A mailbox whose owner notes what it is told, in a few words each.
class TestMailbox {
 public:
  explicit TestMailbox(Mailbox::Limits limits = {}, const Quota& quota = broker::Limits().connection)
      : quota_(quota),
        account_(std::make_shared<Account>(Account::Kind::connection, 0, quota_, nullptr)),
        mailbox_(Mailbox::Owner{.can_send = [this] { return can_send_; },
                                .wake = [this] { ++woken_; },
                                .send = [this](Delivery& delivery) { return send(delivery); },
                                .send_text = [this](std::string_view text) { note_message(text); },
                                .may_listen = [](std::string_view topic) { return topic != "secret"; },
                                .on_undeliverable =
                                    [this](std::uint64_t call, const Error& error) {
                                      told_.push_back("undeliverable " + std::to_string(call) + " " +
                                                      std::string(error.name()));
                                    }},
                 *account_, limits) {}

  operator Mailbox&() noexcept { return mailbox_; }
  Mailbox* operator->() noexcept { return &mailbox_; }
  [[nodiscard]] std::uint64_t used(Resource resource) const { return account_->used(resource); }
  // Has it told everything, and returns what that was.
  std::vector<std::string> take() {
    mailbox_.flush(1000);
    return std::exchange(told_, {});
  }

  bool can_send_ = true;
  bool has_room_ = true;           // for descriptors
  std::optional<Errc> refused_{};  // why what has attachments is not delivered
  int woken_ = 0;
  std::vector<std::uint64_t> numbers_{};  // of the calls that were told

 private:
  Result<bool> send(Delivery& delivery) {
    if (!has_room_) return false;
    if (refused_ && !delivery.attachments.items.empty()) return fail(*refused_);
    constexpr std::array kinds = {"ready", "call", "cancel", "answer", "message"};
    std::string told = kinds[static_cast<std::size_t>(delivery.kind)];
    if (delivery.kind == DeliveryKind::call) numbers_.push_back(*delivery.id);
    if (delivery.id && delivery.kind == DeliveryKind::answer) told += " " + std::to_string(*delivery.id);
    if (!delivery.name.empty()) told += " " + delivery.name;
    if (delivery.value) told += " " + delivery.value->text;
    if (delivery.error) told += " " + std::string(delivery.error->name());
    told_.push_back(std::move(told));
    return true;
  }
  void note_message(std::string_view text) {
    const auto reply = protocol::parse<protocol::ReceiveReply>(decode_reply(text)->parameters);
    std::string told = "message " + *reply->name;
    if (reply->value) told += " " + reply->value->text;
    if (reply->lost) told += " lost " + std::to_string(*reply->lost);
    told_.push_back(std::move(told));
  }

  Quota quota_;
  std::shared_ptr<Account> account_;
  std::vector<std::string> told_;
  Mailbox mailbox_;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

// What a session has to be told of commands and messages, until it is told in a turn of its own.
//
// Calls and answers are never dropped: what waits of them is bounded by what their caller is charged for, or, for
// answers that nobody is charged for, by the session, which reads no more requests when too many wait. Of messages
// there are so many at most, and so many bytes; then the oldest goes, and the next that is told says how many went. All
// of them are told in the order in which they came.

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "account.h"
#include "attachments.h"
#include "memio/protocol.h"

namespace memio::broker {

using protocol::DeliveryKind;

// A message, shared by all whom it is told.
struct Message {
  std::string topic;
  std::optional<JsonText> payload;
  std::string text;  // the delivery, unless it also has to say how many were lost
};
[[nodiscard]] std::shared_ptr<const Message> make_message(std::string topic, std::optional<JsonText> payload);

struct Delivery {
  DeliveryKind kind = DeliveryKind::ready;
  std::optional<std::uint64_t> id{};
  std::string name{};
  std::optional<JsonText> value{};
  std::optional<Error> error{};
  Attachments attachments{};
  Charge bytes{};  // of what waits
  Charge call{};   // an answer's: the call's place is the caller's until it is told
};

// As the protocol has it, but for the attachments.
[[nodiscard]] protocol::ReceiveReply to_reply(Delivery&& delivery);

class Mailbox {
 public:
  struct Limits {
    std::size_t messages = 256;
    std::size_t message_bytes = std::size_t{256} << 10;
  };
  struct Owner {
    // Whether it takes another delivery now; wake() asks it to have flush() called soon.
    std::function<bool()> can_send;
    std::function<void()> wake;
    // Tells it. False: there is no room for the descriptors now, but there will be. Errors: those of opening a region.
    std::function<Result<bool>(Delivery&)> send;
    // Tells it a message's text.
    std::function<void(std::string_view)> send_text;
    std::function<bool(std::string_view topic)> may_listen;
    // A call cannot be delivered.
    std::function<void(std::uint64_t call, Error)> on_undeliverable;
  };

  Mailbox(Owner owner, Account& account, Limits limits)
      : owner_(std::move(owner)), account_(account), limits_(limits) {}
  Mailbox(Owner owner, Account& account) : Mailbox(std::move(owner), account, Limits{}) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] Account& account() const noexcept { return account_; }
  [[nodiscard]] bool may_listen(std::string_view topic) const { return owner_.may_listen(topic); }

  void post(Delivery delivery);
  void post(std::shared_ptr<const Message> message);
  // Takes back a call that has not been told. False if there is none.
  bool withdraw(std::uint64_t call);

  [[nodiscard]] std::size_t pending() const noexcept { return deliveries_.size() + messages_.size(); }
  // About how many bytes wait of answers to the session's own requests that nobody is charged for.
  [[nodiscard]] std::size_t uncharged_bytes() const noexcept { return uncharged_bytes_; }
  // Whether the last flush() ended because there was no room for descriptors.
  [[nodiscard]] bool short_of_fds() const noexcept { return short_of_fds_; }
  // Messages that were dropped, since it was made.
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
  // Tells what waits, as long as the session takes more, and at most so much. Returns how much that was.
  int flush(int most);

 private:
  struct Waiting {
    std::uint64_t number;
    Delivery delivery;
    std::size_t uncharged = 0;  // bytes
  };
  struct WaitingMessage {
    std::uint64_t number;
    std::shared_ptr<const Message> message;
  };
  // False if it has to wait.
  bool send_delivery();
  void send_message();
  void drop_oldest();

  Owner owner_;
  Account& account_;
  Limits limits_;
  std::uint64_t posted_ = 0;  // numbers what waits, for the order between the two queues
  std::list<Waiting> deliveries_;
  std::size_t uncharged_bytes_ = 0;
  std::deque<WaitingMessage> messages_;
  std::size_t message_bytes_ = 0;
  Charge charge_;  // for message_bytes_
  std::uint64_t untold_lost_ = 0;
  std::uint64_t lost_ = 0;
  bool short_of_fds_ = false;
};

}  // namespace memio::broker

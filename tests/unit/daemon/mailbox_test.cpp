// SPDX-License-Identifier: MIT
#include "mailbox.h"

#include <gtest/gtest.h>

#include "test_mailbox.h"

namespace memio::broker {
namespace {

using Told = std::vector<std::string>;

Delivery call(std::uint64_t id) { return {.kind = DeliveryKind::call, .id = id, .name = "c"}; }
Delivery attached(Delivery delivery) {
  delivery.attachments.items.emplace_back();
  return delivery;
}

TEST(Mailbox, TellsEverythingInTheOrderInWhichItCame) {
  TestMailbox box;
  box->post({.kind = DeliveryKind::ready});
  box->post(make_message("t", JsonText{"1"}));
  box->post(call(7));
  box->post(make_message("t", std::nullopt));
  box->post({.kind = DeliveryKind::answer, .id = 3, .value = JsonText{"[2]"}});
  EXPECT_EQ(box.woken_, 5);
  EXPECT_EQ(box.take(), (Told{"ready", "message t 1", "call c", "message t", "answer 3 [2]"}));
  EXPECT_EQ(box->pending(), 0U);
}

TEST(Mailbox, TellsNoMoreThanItsOwnerTakesNorThanAsked) {
  TestMailbox box;
  for (std::uint64_t i = 0; i < 5; ++i) box->post(call(i));
  EXPECT_EQ(box->flush(2), 2);
  box.can_send_ = false;
  EXPECT_EQ(box->flush(1000), 0);
  EXPECT_EQ(box->pending(), 3U);
  box.can_send_ = true;
  EXPECT_EQ(box->flush(1000), 3);
}

TEST(Mailbox, DropsTheOldestMessageAndSaysHowManyWithTheNext) {
  TestMailbox box({.messages = 3});
  box->post(call(1));
  for (int i = 0; i < 10; ++i) box->post(make_message("t", JsonText{std::to_string(i)}));
  EXPECT_EQ(box->lost(), 7U);
  EXPECT_EQ(box.take(), (Told{"call c", "message t 7 lost 7", "message t 8", "message t 9"}));
  box->post(make_message("t", std::nullopt));
  EXPECT_EQ(box.take(), Told{"message t"}) << "told once";
}

TEST(Mailbox, CountsMessagesByTheirLengthToo) {
  TestMailbox box({.messages = 100, .message_bytes = 4096});
  const JsonText kilobyte{'"' + std::string(1000, 'x') + '"'};
  for (int i = 0; i < 5; ++i) box->post(make_message("t", kilobyte));
  EXPECT_EQ(box->lost(), 2U);
  EXPECT_GT(box.used(Resource::mail_bytes), 3000U);
  EXPECT_EQ(box.take().front().substr(0, 10), "message t ");
  EXPECT_EQ(box.used(Resource::mail_bytes), 0U);
}

TEST(Mailbox, LosesAMessageThatIsLargerThanAllThatMayWait) {
  TestMailbox box({.messages = 100, .message_bytes = 1000});
  box->post(make_message("t", JsonText{"1"}));
  box->post(make_message("t", JsonText{'"' + std::string(2000, 'x') + '"'}));
  EXPECT_EQ(box->pending(), 0U);
  box->post(make_message("t", JsonText{"2"}));
  EXPECT_EQ(box.take(), Told{"message t 2 lost 2"});
}

TEST(Mailbox, LosesMessagesForWhichItsQuotaLeavesNoRoom) {
  TestMailbox box({}, Quota{.mail_bytes = 300});
  for (int i = 0; i < 10; ++i) box->post(make_message("t", JsonText{std::to_string(i)}));
  EXPECT_LE(box.used(Resource::mail_bytes), 300U);
  const auto told = box.take();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told.front(), "message t 8 lost 8");
}

TEST(Mailbox, CountsTheAnswersThatNobodyIsChargedFor) {
  TestMailbox box;
  Mailbox& mailbox = box;
  box->post(call(1));
  box->post({.kind = DeliveryKind::ready});
  box->post({.kind = DeliveryKind::answer, .id = 1, .call = *mailbox.account().charge(Resource::calls)});
  EXPECT_EQ(box->uncharged_bytes(), 0U);
  box->post({.kind = DeliveryKind::answer, .id = 2});
  const auto one = box->uncharged_bytes();
  EXPECT_GT(one, 0U);
  box->post({.kind = DeliveryKind::answer, .id = 3, .error = Error{Errc::misuse, 0, std::string(1000, 'x')}});
  EXPECT_EQ(box->uncharged_bytes(), 2 * one + 1000);
  EXPECT_EQ(box.take().size(), 5U);
  EXPECT_EQ(box->uncharged_bytes(), 0U);
}

TEST(Mailbox, TakesACallBackThatHasNotBeenTold) {
  TestMailbox box;
  box->post(call(1));
  box->post(call(2));
  EXPECT_TRUE(box->withdraw(1));
  EXPECT_FALSE(box->withdraw(1));
  EXPECT_EQ(box.take(), Told{"call c"});
  EXPECT_EQ(box.numbers_, std::vector<std::uint64_t>{2});
  EXPECT_FALSE(box->withdraw(2)) << "it was told";
}

TEST(Mailbox, WaitsForRoomForDescriptors) {
  TestMailbox box;
  box.has_room_ = false;
  box->post(attached(call(1)));
  EXPECT_EQ(box->flush(10), 0);
  EXPECT_TRUE(box->short_of_fds());
  box.has_room_ = true;
  EXPECT_EQ(box->flush(10), 1);
  EXPECT_FALSE(box->short_of_fds());
}

TEST(Mailbox, SaysWhichCallCannotBeDelivered) {
  TestMailbox box;
  box.refused_ = Errc::limit_exceeded;
  box->post(attached(call(9)));
  box->post(call(10));
  EXPECT_EQ(box.take(), (Told{"undeliverable 9 io.memio.LimitExceeded", "call c"}));
}

TEST(Mailbox, TellsTheReasonInThePlaceOfAnAnswerThatCannotBeDelivered) {
  TestMailbox box;
  box.refused_ = Errc::limit_exceeded;
  box->post(attached({.kind = DeliveryKind::answer, .id = 4, .value = JsonText{"1"}}));
  EXPECT_EQ(box.take(), Told{"answer 4 io.memio.LimitExceeded"});
}

}  // namespace
}  // namespace memio::broker

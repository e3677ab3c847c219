// SPDX-License-Identifier: MIT
// Mail that cannot be used, or cannot be sent, harms nothing but itself: the other calls of the same client, its
// handlers and its listeners go on.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>

#include "open_region.h"
#include "support/mail.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

using testing::HasSubstr;

// Under a limit of length that is not the usual one.
constexpr std::size_t most_bytes = 8192;
constexpr std::size_t most_deep = 30;  // a value; the message and its parameters are around it
constexpr std::size_t most_fds = 16;

std::string nested(std::size_t deep) { return std::string(deep, '[') + std::string(deep, ']'); }
std::string long_value(std::size_t size) { return '"' + std::string(size - 2, 'x') + '"'; }

class HostileMail : public MailTest {
 protected:
  HostileMail() : MailTest(R"({"limits":{"messageBytes":)" + std::to_string(most_bytes) + "}}") {}

  Client client_ = connect_receiving();
  Client other_ = daemon_.connect();
  CommandHandler handler_ = std::move(*other_.handle("c"));
  Listener listener_ = std::move(*other_.listen("t"));

  // A region whose directory its creator has changed, so that nobody can open it any more.
  static Region lying_region(Client& client) {
    auto region = std::move(*client.create("lie", {.capacity = 16}));
    RegionAccess::memory(region).directory().magic ^= 1;
    return region;
  }
  template <class T>
  static void expect_error(const Result<T>& result, Errc code, const std::string& part = {}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().text();
    EXPECT_THAT(result.error().text(), HasSubstr(part));
  }
  // Calls, and has the other program answer by `answer`.
  template <class Answer>
  Result<CallAnswer> call(const std::string& arguments, Answer answer) {
    std::optional<Result<CallAnswer>> result;
    client_.call_async("c", arguments, {}, [&](Result<CallAnswer> got) { result.emplace(std::move(got)); });
    if (auto call = handler_.wait(long_enough))
      answer(std::move(*call));
    else
      ADD_FAILURE() << call.error().text();
    dispatch_until(client_, [&] { return result.has_value(); });
    return std::move(result).value_or(fail(Errc::timed_out));
  }
  // Both go on, on the connections that they had.
  void expect_all_go_on() {
    const auto answered = call("7", [](CommandCall call) { EXPECT_TRUE(call.answer(call.arguments())); });
    ASSERT_TRUE(answered) << answered.error().text();
    EXPECT_EQ(answered->result, "7");
    ASSERT_TRUE(client_.emit("t", "8"));
    const auto message = listener_.wait(long_enough);
    ASSERT_TRUE(message) << message.error().text();
    EXPECT_EQ(message->payload, "8");
  }
};

TEST_F(HostileMail, ARegionThatLiesEndsTheCallThatBroughtIt) {
  const auto lie = lying_region(client_);
  const auto good = std::move(*client_.create("good", {.capacity = 16}));
  CallOptions options;
  for (const auto* region : {&good, &lie, &good})
    options.attachments.push_back(std::move(*Attachment::of_region(*region)));
  std::optional<Error> error;
  client_.call_async("c", "1", std::move(options), [&](const Result<CallAnswer>& answer) { error = answer.error(); });
  expect_all_go_on();
  dispatch_until(client_, [&] { return error.has_value(); });
  EXPECT_EQ(error->code, Errc::command_failed) << error->text();
  EXPECT_THAT(error->text(), HasSubstr("disagrees"));
  EXPECT_EQ(error->rejection->error, "io.memio.client.Corrupt");
  EXPECT_EQ(client_.stat("good")->region.handles, 1U) << "what came with it is closed again";
  EXPECT_EQ(client_.stat("lie")->region.handles, 1U);
}

TEST_F(HostileMail, ARegionThatLiesEndsTheCallThatItAnswers) {
  const auto lie = lying_region(other_);
  const auto good = std::move(*other_.create("good", {.capacity = 16}));
  auto own = client_.handle("own");
  ASSERT_TRUE(own);
  const auto answer = call("1", [&](CommandCall call) {
    std::vector<Attachment> attachments;
    for (const auto* region : {&good, &lie, &good}) attachments.push_back(std::move(*Attachment::of_region(*region)));
    EXPECT_TRUE(call.answer("2", std::move(attachments)));
  });
  expect_error(answer, Errc::corrupt, "disagrees");
  expect_all_go_on();
  EXPECT_TRUE(own->next()) << "a client that calls handles its own commands";
  expect_error(other_.handle("own"), Errc::command_exists);
  EXPECT_EQ(other_.stat("good")->region.handles, 1U);
}

#ifndef MEMIO_SANITIZED  // they have uses of their own for the address space
// As many as it has addresses for.
TEST_F(HostileMail, ARegionThatThereIsNoRoomForEndsTheCallThatBroughtIt) {
  const auto large = std::move(*client_.create("large", {.capacity = std::uint64_t{200} << 30}));
  std::vector<CommandCall> kept;
  std::optional<Error> error;
  while (!error) {
    CallOptions options;
    for (int i = 0; i < 5; ++i) options.attachments.push_back(std::move(*Attachment::of_region(large)));
    client_.call_async("c", "1", std::move(options), [&](const Result<CallAnswer>& answer) { error = answer.error(); });
    client_.call_async("c", "2", {}, [](const Result<CallAnswer>&) {});
    auto next = handler_.wait(long_enough);
    ASSERT_TRUE(next) << next.error().text();
    if (next->arguments() == "2") {
      dispatch_until(client_, [&] { return error.has_value(); });
      break;
    }
    kept.push_back(std::move(*next));
    ASSERT_EQ(handler_.wait(long_enough)->arguments(), "2");
  }
  EXPECT_EQ(error->code, Errc::command_failed) << error->text();
  kept.clear();
  expect_all_go_on();
}
#endif

TEST_F(HostileMail, WhatIsTooDeepIsRefusedWhereItIsGiven) {
  const auto echo = [](CommandCall call) { EXPECT_TRUE(call.answer(call.arguments())); };
  EXPECT_EQ(call(nested(most_deep), echo)->result, nested(most_deep));
  for (const std::size_t deep : {most_deep + 1, most_deep + 2, most_deep + 3}) {
    expect_error(client_.call("c", nested(deep)), Errc::invalid_parameter, " deep");
    expect_error(client_.emit("t", nested(deep)), Errc::invalid_parameter, " deep");
  }
  const auto wrap = [](CommandCall call) {
    expect_error(call.answer('[' + call.arguments() + ']'), Errc::invalid_parameter, "30 deep");
    expect_error(call.reject("a", "b", '[' + call.arguments() + ']'), Errc::invalid_parameter, "30 deep");
  };
  const auto unanswered = call(nested(most_deep), wrap);
  expect_error(unanswered, Errc::command_failed, "30 deep");
  EXPECT_EQ(unanswered.error().rejection->error, "Unanswered");
  const auto mended = call(nested(most_deep), [](CommandCall call) {
    EXPECT_FALSE(call.answer('[' + call.arguments() + ']'));
    EXPECT_TRUE(call.answer("5")) << "nothing was answered yet";
  });
  EXPECT_EQ(mended->result, "5");
  expect_all_go_on();
}

TEST_F(HostileMail, WhatIsTooLongIsRefusedWhereItIsGiven) {
  std::optional<std::string> other;
  client_.call_async("c", "1", {}, [&](const Result<CallAnswer>& answer) { other = answer.value().result; });
  auto under_way = handler_.wait(long_enough);
  ASSERT_TRUE(under_way);
  expect_error(client_.call("c", long_value(most_bytes)), Errc::message_too_large, std::to_string(most_bytes));
  expect_error(client_.emit("t", long_value(most_bytes)), Errc::message_too_large);
  expect_error(client_.listen(std::string(most_bytes, 'a')), Errc::message_too_large);
  client_.emit_async("t", long_value(most_bytes));
  const auto unanswered = call("2", [](CommandCall call) {
    expect_error(call.answer(long_value(most_bytes)), Errc::message_too_large, std::to_string(most_bytes));
    expect_error(call.reject("a", std::string(most_bytes, 'b')), Errc::message_too_large);
  });
  expect_error(unanswered, Errc::command_failed, std::to_string(most_bytes));
  ASSERT_TRUE(under_way->answer("3"));
  dispatch_until(client_, [&] { return other.has_value(); });
  EXPECT_EQ(*other, "3");
  expect_all_go_on();
}

// To the byte: what the library lets pass memiod takes.
TEST_F(HostileMail, TheLongestMessageArrives) {
  std::size_t size = most_bytes - 300;
  while (client_.emit("t", long_value(size))) {
    EXPECT_EQ(listener_.wait(long_enough)->payload.size(), size);
    ++size;
  }
  EXPECT_GT(size, most_bytes - 300);
  EXPECT_LT(size, most_bytes);
  expect_error(client_.emit("t", long_value(size)), Errc::message_too_large);
  expect_all_go_on();
}

// What is said before the connection is there.
TEST_F(HostileMail, WhatIsTooLongIsRefusedAlsoIfItIsTheFirst) {
  auto fresh = daemon_.connect();
  std::vector<Result<void>> emitted;
  for (const std::size_t size : {std::size_t{10}, most_bytes, std::size_t{11}})
    fresh.emit_async("t", long_value(size), [&](Result<void> result) { emitted.push_back(std::move(result)); });
  dispatch_until(fresh, [&] { return emitted.size() == 3; });
  EXPECT_EQ(std::ranges::count_if(emitted, [](const auto& result) { return result.has_value(); }), 2);
  EXPECT_EQ(listener_.wait(long_enough)->payload.size(), 10U);
  EXPECT_EQ(listener_.wait(long_enough)->payload.size(), 11U);
}

TEST_F(HostileMail, TooManyDescriptorsAreRefusedWhereTheyAreGiven) {
  const auto attach = [](std::size_t count) {
    std::vector<Attachment> attachments;
    for (std::size_t i = 0; i < count; ++i)
      attachments.push_back(Attachment::of_descriptor(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))));
    return attachments;
  };
  expect_error(client_.call("c", "1", {.attachments = attach(most_fds + 1)}), Errc::limit_exceeded, "17");
  const auto unanswered = call(
      "1", [&](CommandCall call) { expect_error(call.answer("2", attach(most_fds + 1)), Errc::limit_exceeded, "17"); });
  expect_error(unanswered, Errc::command_failed, "17");
  const auto answered = call("1", [&](CommandCall call) { EXPECT_TRUE(call.answer("2", attach(most_fds))); });
  ASSERT_TRUE(answered) << answered.error().text();
  EXPECT_EQ(answered->attachments.size(), most_fds);
  expect_all_go_on();
}

// It was stopped, say. What the library keeps for it has an end.
TEST_F(HostileMail, WhatMemiodDoesNotReadIsRefusedWhereItIsGiven) {
  ASSERT_EQ(::kill(daemon_.pid(), SIGSTOP), 0);
  int done = 0;
  int refused = 0;
  int asked = 0;
  std::array<Event, 8> events;
  while (refused == 0 && asked < 10'000) {
    ++asked;
    client_.emit_async("t", long_value(most_bytes - 200), [&](const Result<void>& result) {
      ++done;
      if (!result) ++refused;
    });
    client_.dispatch(events);
  }
  EXPECT_GT(refused, 0);
  ASSERT_EQ(::kill(daemon_.pid(), SIGCONT), 0);
  dispatch_until(client_, [&] { return done == asked; });
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(client_.emit("u"));
}

// What is no reply for a connection that receives: no memiod says that, but if one did, it would still have to know
// that nobody handles the command any more.
TEST_F(HostileMail, AConnectionThatIsLostIsGivenUp) {
  int own[2];
  int receiving[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, receiving), 0);
  auto client = std::move(*Client::adopt(UniqueFd(own[0])));
  RawConnection memiod{UniqueFd(own[1])};
  RawConnection mail{UniqueFd(receiving[1])};
  std::optional<Error> error;
  client.handle_async("c", {}, [&](const Result<CommandHandler>& handler) { error = handler.error(); });
  {
    const UniqueFd theirs(receiving[0]);
    ASSERT_TRUE(memiod.send(std::string(R"({"parameters":{"connectionFileDescriptor":0,"messageBytes":8192}})") + '\0',
                            {theirs.get()}));
  }
  ASSERT_TRUE(mail.send(std::string(R"({"error":"io.memio.MalformedMessage","parameters":{"message":"?"}})") + '\0'));
  dispatch_until(client, [&] { return error.has_value(); });
  EXPECT_EQ(error->code, Errc::malformed_message);
  EXPECT_TRUE(mail.is_closed_by_peer());
}

}  // namespace
}  // namespace memio::test

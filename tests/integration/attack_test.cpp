// SPDX-License-Identifier: MIT
// What a wrong or hostile peer can send: it gets an error or is cut off, nobody else notices, nothing leaks.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "attack.h"
#include "support/bytes.h"

namespace memio::test {
namespace {

TEST_F(Attack, MalformedMessagesGetAnErrorAndTheConnectionGoesOn) {
  RawConnection raw(daemon_.socket_path());
  const std::string deep = R"({"method":"io.memio.List","parameters":)" + std::string(5000, '[') + "}";
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "not JSON"},
      {"hello", "not JSON"},
      {"[1,2]", "not a JSON object"},
      {R"({"method":"io.memio.List")", "not JSON"},
      {R"({"parameters":{}})", "no method"},
      {R"({"method":5})", "'method'"},
      {R"({"method":"io.memio.List","parameters":[]})", "'parameters'"},
      {R"({"method":"io.memio.List","more":"yes"})", "'more'"},
      {R"({"method":"io.memio.List","color":"red"})", "'color'"},
      {"{\"method\":\"\xff\xfe\"}", "not JSON"},
      {deep, "32 deep"},
  };
  for (const auto& [message, part] : wrong) {
    SCOPED_TRACE(message.substr(0, 60));
    expect_error(raw.ask(message), "io.memio.MalformedMessage", part);
    const auto after = raw.ask(list_call);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->error, "");
  }
}

TEST_F(Attack, WrongParametersAreNamed) {
  RawConnection raw(daemon_.socket_path());
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {R"("io.memio.Create","parameters":{"capacity":1})", "name"},
      {R"("io.memio.Create","parameters":{"name":7,"capacity":1})", "name"},
      {R"("io.memio.Create","parameters":{"name":"a","capacity":-1})", "capacity"},
      {R"("io.memio.Create","parameters":{"name":"a","capacity":1.5})", "capacity"},
      {R"("io.memio.Create","parameters":{"name":"a","capacity":1e400})", ""},
      {R"("io.memio.Create","parameters":{"name":"a","capacity":99999999999999999999})", "capacity"},
      {R"("io.memio.Create","parameters":{"name":"a","capacity":1,"layout":"memio65"})", "layout"},
      {R"("io.memio.Create","parameters":{"name":"a","capacity":1,"colour":1})", "colour"},
      {R"("io.memio.Open","parameters":{"name":"bystander","access":"readwrite"})", "access"},
      {R"("io.memio.Open","parameters":{"name":"bystander"})", "access"},
      {R"("io.memio.OpenConnection","parameters":{"grants":[{"pattern":"a","rights":["own"]}]})",
       "grants[0].rights[0]"},
  };
  for (const auto& [rest, parameter] : wrong) {
    SCOPED_TRACE(rest);
    const auto reply = raw.ask("{\"method\":" + rest + "}");
    ASSERT_TRUE(reply);
    if (parameter.empty())
      EXPECT_NE(reply->error, "");
    else
      expect_error(reply, "org.varlink.service.InvalidParameter", "\"" + parameter + "\"");
  }
}

TEST_F(Attack, UnknownMethodsAndInterfaces) {
  RawConnection raw(daemon_.socket_path());
  expect_error(raw.ask(R"({"method":"io.memio.Frobnicate"})"), "org.varlink.service.MethodNotFound", "Frobnicate");
  expect_error(raw.ask(R"({"method":"org.example.Foo"})"), "org.varlink.service.InterfaceNotFound", "org.example");
  expect_error(raw.ask(R"({"method":"nodots"})"), "org.varlink.service.InterfaceNotFound", "nodots");
  expect_error(raw.ask(R"({"method":"io.memio.Watch"})"), "org.varlink.service.ExpectedMore", "");
  expect_error(raw.ask(R"({"method":"io.memio.Close","parameters":{"id":12345}})"), "io.memio.NoSuchHandle", "12345");
}

TEST_F(Attack, AnOversizedMessageEndsTheConnectionWithAReason) {
  RawConnection raw(daemon_.socket_path());
  raw.send(std::string(std::size_t{3} << 20, 'x'));  // cut off on the way
  expect_error(raw.receive(), "io.memio.MessageTooLarge", "1048576");
  EXPECT_TRUE(raw.is_closed_by_peer());
}

// What cannot be a call is not read to its end.
TEST_F(Attack, AMessageOfAGibibyteEndsTheConnectionAtTheFirst) {
  RawConnection raw(daemon_.socket_path());
  const std::string piece(std::size_t{1} << 20, ' ');
  std::size_t pieces = 0;
  while (pieces < 1024 && raw.send(piece)) ++pieces;
  EXPECT_LT(pieces, 4U);
  expect_error(raw.receive(), "io.memio.MessageTooLarge", "1048576");
}

TEST_F(Attack, DuplicateKeysAreRefusedWhereverTheyAre) {
  RawConnection raw(daemon_.socket_path());
  for (const auto* call :
       {R"({"method":"io.memio.List","method":"io.memio.Stat"})",
        R"({"method":"io.memio.Stat","parameters":{"name":"a","name":"b"}})",
        R"({"method":"io.memio.OpenConnection","parameters":{"grants":[{"pattern":"a","rights":[],"pattern":"**"}]}})"})
    expect_error(raw.ask(call), "io.memio.MalformedMessage", "twice");
}

TEST_F(Attack, NumbersOutOfRange) {
  RawConnection raw(daemon_.socket_path());
  for (const auto* number :
       {"-1", "-9223372036854775808", "18446744073709551616", "1e3", "1.0", "0.1", "-0.0", "1e308"}) {
    SCOPED_TRACE(number);
    expect_error(raw.ask(std::string(R"({"method":"io.memio.Close","parameters":{"id":)") + number + "}}"),
                 "org.varlink.service.InvalidParameter", "id");
    expect_error(
        raw.ask(std::string(R"({"method":"io.memio.Create","parameters":{"name":"a","capacity":)") + number + "}}"),
        "org.varlink.service.InvalidParameter", "capacity");
  }
  expect_error(raw.ask(R"({"method":"io.memio.Close","parameters":{"id":1e400}})"), "io.memio.MalformedMessage",
               "too large");
  expect_error(raw.ask(R"({"method":"io.memio.Close","parameters":{"id":18446744073709551615}})"),
               "io.memio.NoSuchHandle", "18446744073709551615");
  expect_error(raw.ask(R"({"method":"io.memio.Create","parameters":{"name":"a","capacity":18446744073709551615}})"),
               "io.memio.InvalidCapacity", "");
  expect_error(
      raw.ask(R"({"method":"io.memio.Create","parameters":{"name":"a","capacity":9007199254740993,"slots":64}})"),
      "io.memio.InvalidCapacity", "");
}

// The answer is not waited for, either.
TEST_F(Attack, ClosingAtEveryByteOfAHandshake) {
  const std::string create =
      std::string(R"({"method":"io.memio.Create","parameters":{"name":"a","capacity":1}})") + '\0';
  for (std::size_t n = 0; n <= create.size(); ++n) {
    RawConnection raw(daemon_.socket_path());
    ASSERT_TRUE(raw.send(create.substr(0, n)));
  }
}

TEST_F(Attack, HalfMessagesDisturbNobody) {
  std::vector<RawConnection> silent;
  for (std::size_t n = 0; n < list_call.size(); ++n) {
    silent.emplace_back(daemon_.socket_path());
    ASSERT_TRUE(silent.back().send(list_call.substr(0, n)));
    EXPECT_TRUE(bystander_.list());
  }
  // Some finish after all, the others close at every byte there is.
  ASSERT_TRUE(silent[5].send(std::string(list_call.substr(5)) + '\0'));
  EXPECT_EQ(silent[5].receive()->error, "");
}

// Many that send a byte now and then, as slowly as you like: memiod has no clock for that. So what counts is that
// between any two bytes everybody else is served: those who are there, those who come, and the hasty. In the end the
// slow are, too.
TEST_F(Attack, OneByteASecondHoldsUpNobody) {
  std::vector<RawConnection> slow;
  for (int i = 0; i < 50; ++i) slow.emplace_back(daemon_.socket_path());
  auto reader = daemon_.connect();
  auto opened = reader.open("bystander", Access::read);
  ASSERT_TRUE(opened);
  const UniqueFd odd(::eventfd(0, EFD_CLOEXEC));
  std::uint64_t version = 0;
  for (const char c : std::string(list_call) + '\0') {
    for (auto& raw : slow) ASSERT_TRUE(raw.send({&c, 1}));
    ASSERT_TRUE(region_.write(bytes("served"), ++version));
    const auto state = bystander_.stat("bystander");
    ASSERT_TRUE(state) << state.error().text();
    EXPECT_EQ(state->version, version);
    EXPECT_EQ(opened->read()->version(), version);
    auto newcomer = daemon_.connect();
    EXPECT_TRUE(newcomer.open("bystander", Access::read));
    RawConnection hasty(daemon_.socket_path());
    expect_error(hasty.ask(list_call, {odd.get()}), "io.memio.UnexpectedFileDescriptors", "List");
  }
  for (auto& raw : slow) {
    const auto reply = raw.receive();
    ASSERT_TRUE(reply) << "it was cut off";
    EXPECT_EQ(reply->error, "");
    EXPECT_EQ(reply->parameters.at("regions").size(), 1U);
  }
}

TEST_F(Attack, ManyCallsInOneWriteAreAnsweredInOrder) {
  constexpr int calls = 500;
  RawConnection raw(daemon_.socket_path());
  std::string all;
  for (int i = 0; i < calls; ++i)
    all += R"({"method":"io.memio.Stat","parameters":{"name":"n)" + std::to_string(i) + "\"}}" + '\0';
  ASSERT_TRUE(raw.send(all));
  for (int i = 0; i < calls; ++i) expect_error(raw.receive(), "io.memio.NoSuchRegion", " n" + std::to_string(i) + ",");
}

TEST_F(Attack, UnexpectedDescriptorsAreClosedAndReported) {
  UniqueFd odd(::eventfd(0, EFD_CLOEXEC));
  RawConnection raw(daemon_.socket_path());
  expect_error(raw.ask(list_call, {odd.get(), odd.get(), odd.get()}), "io.memio.UnexpectedFileDescriptors", "3");
  EXPECT_EQ(raw.ask(list_call)->error, "");
}

TEST_F(Attack, AFloodOfDescriptorsEndsTheConnection) {
  UniqueFd odd(::eventfd(0, EFD_CLOEXEC));
  RawConnection raw(daemon_.socket_path());
  raw.send(std::string(list_call) + '\0', std::vector<int>(253, odd.get()));
  EXPECT_TRUE(raw.is_closed_by_peer());
}

TEST_F(Attack, DescriptorsWithHalfAMessageGoWithTheConnection) {
  UniqueFd odd(::eventfd(0, EFD_CLOEXEC));
  RawConnection raw(daemon_.socket_path());
  ASSERT_TRUE(raw.send("{\"method\":", {odd.get(), odd.get()}));
}

TEST_F(Attack, OnewayCallsHaveNoAnswerEvenIfTheyFail) {
  RawConnection raw(daemon_.socket_path());
  ASSERT_TRUE(raw.send(std::string(R"({"method":"io.memio.Stat","parameters":{"name":"none"},"oneway":true})") + '\0'));
  EXPECT_EQ(raw.ask(list_call)->error, "");
}

// memiod reads no more calls from it, so what waits is bounded. Nobody else waits, and nothing is lost.
class AttackByNotReading : public Attack {
 protected:
  AttackByNotReading()
      : Attack(R"({"limits": {"user": {"messagesPerSecond": 1000000000},
                                               "connection": {"messagesPerSecond": 1000000000}}})") {}

  // Sends a call again and again, `enough` times at most, and then reads the answers.
  void expect_not_to_be_read_from(RawConnection& raw, const std::string& call, std::size_t enough) {
    std::size_t sent = 0;
    const auto send_some = [&] {
      const auto rest = std::string_view(call).substr(sent % call.size());
      const auto n = ::send(raw.fd(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) sent += static_cast<std::size_t>(n);
      return n > 0 && sent < enough * call.size();
    };
    // Each answer to the bystander is another turn for everybody.
    for (int stuck = 0; stuck < 100; ++stuck) {
      while (send_some()) stuck = 0;
      ASSERT_TRUE(bystander_.list());
    }
    EXPECT_LT(sent, enough * call.size()) << "it was read from without end";
    const auto calls = sent / call.size();
    for (std::size_t i = 0; i < calls; ++i) ASSERT_EQ(raw.receive()->error, "") << i;
    ASSERT_TRUE(raw.send(call.substr(sent % call.size())));
    EXPECT_EQ(raw.receive()->error, "") << "it goes on as if nothing had been";
  }
};

TEST_F(AttackByNotReading, ItsReplies) {
  RawConnection raw(daemon_.socket_path());
  // The answer is a hundred times as long as its call.
  const std::string call =
      std::string(R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.memio"}})") +
      '\0';
  expect_not_to_be_read_from(raw, call, 10'000);
}

// These wait in its mailbox.
TEST_F(AttackByNotReading, ItsDeliveries) {
  for (const auto* call : {R"({"method":"io.memio.Emit","oneway":true,"parameters":{"id":1,"topic":"t"}})",
                           R"({"method":"io.memio.Emit","oneway":true,"parameters":{"id":1,"topic":"/"}})",
                           R"({"method":"io.memio.Invoke","oneway":true,"parameters":{"id":1,"name":"none"}})",
                           R"({"method":"io.memio.Unlisten","oneway":true,"parameters":{"id":1,"pattern":"t"}})"}) {
    RawConnection raw(daemon_.socket_path());
    ASSERT_EQ(raw.ask(R"({"method":"io.memio.Receive","more":true})")->error, "");
    expect_not_to_be_read_from(raw, std::string(call) + '\0', 30'000);
  }
}

TEST_F(Attack, ConnectionsUpToTheLimitAndBeyond) {
  std::vector<UniqueFd> sockets;
  Result<UniqueFd> socket = bystander_.open_connection();
  while (socket && sockets.size() < 10'000) {
    sockets.push_back(std::move(*socket));
    socket = bystander_.open_connection();
  }
  ASSERT_FALSE(socket);
  EXPECT_TRUE(socket.error().code == Errc::limit_exceeded || socket.error().code == Errc::out_of_resources)
      << socket.error().text();
  EXPECT_TRUE(bystander_.list());
}

}  // namespace
}  // namespace memio::test

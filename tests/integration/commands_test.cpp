// SPDX-License-Identifier: MIT
// Commands between real programs: who answers whom, how calls end, and what goes along.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <map>

#include "support/becomes.h"
#include "support/bytes.h"
#include "support/mail.h"
#include "support/no_room_for_fds.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

using testing::HasSubstr;

class CommandsBetween : public MailTest {
 protected:
  Client client_ = connect_receiving();

  template <class T>
  static void expect_error(const Result<T>& result, Errc code, const std::string& part = {}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().text();
    EXPECT_THAT(result.error().text(), HasSubstr(part));
  }
};

TEST_F(CommandsBetween, AreAnsweredByAnotherProgram) {
  const auto other = start_handler("math/echo", [](CommandCall call) {
    ASSERT_TRUE(call.answer("[\"" + call.name() + "\"," + call.arguments() + "]"));
  });
  const auto answer = client_.call("math/echo", R"({"x":[-1.5,1e300,18446744073709551615,null,"\u00e9"]})");
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->result, R"(["math/echo",{"x":[-1.5,1e300,18446744073709551615,null,"\u00e9"]}])") << "as it was";
  EXPECT_EQ(client_.call("math/echo")->result, R"(["math/echo",null])");
}

TEST_F(CommandsBetween, AreAnsweredInAnyOrder) {
  constexpr std::size_t count = 10;
  std::vector<CommandCall> waiting;
  const auto other = start_handler("c", [&](CommandCall call) {
    waiting.push_back(std::move(call));
    if (waiting.size() < count) return;
    for (auto i = waiting.rbegin(); i != waiting.rend(); ++i) ASSERT_TRUE(i->answer(i->arguments()));
    waiting.clear();
  });
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < count; ++i)
    client_.call_async("c", std::to_string(i), {},
                       [&](Result<CallAnswer> answer) { answers.push_back(answer.value().result); });
  EXPECT_TRUE(answers.empty());
  dispatch_until(client_, [&] { return answers.size() == count; });
  EXPECT_EQ(answers, (std::vector<std::string>{"9", "8", "7", "6", "5", "4", "3", "2", "1", "0"}));
}

TEST_F(CommandsBetween, ARejectionSaysWhatTheHandlerSaid) {
  const auto other = start_handler("c", [](CommandCall call) {
    if (call.arguments() == "1") {
      ASSERT_TRUE(call.reject("io.memio.HandlerGone", "no, that is not so", R"({"why":[1,2]})"));
    } else if (call.arguments() == "2") {
      ASSERT_TRUE(call.reject("TooDark", ""));
    }
  });
  const auto first = client_.call("c", "1");
  expect_error(first, Errc::command_failed, "no, that is not so");
  ASSERT_TRUE(first.error().rejection);
  EXPECT_EQ(first.error().rejection->error, "io.memio.HandlerGone") << "which nobody takes for memiod's";
  EXPECT_EQ(first.error().rejection->details, R"({"why":[1,2]})");
  const auto second = client_.call("c", "2");
  expect_error(second, Errc::command_failed);
  EXPECT_EQ(second.error().rejection->error, "TooDark");
  EXPECT_EQ(second.error().rejection->details, "");
  const auto dropped = client_.call("c", "3");
  expect_error(dropped, Errc::command_failed);
  EXPECT_EQ(dropped.error().rejection->error, "Unanswered");
}

TEST_F(CommandsBetween, AnAnswerIsGivenOnce) {
  const auto other = start_handler("c", [](CommandCall call) {
    ASSERT_TRUE(call.answer("1"));
    if (call.answer("2").error().code != Errc::misuse || call.reject("a", "b").error().code != Errc::misuse) ::abort();
  });
  EXPECT_EQ(client_.call("c")->result, "1");
  EXPECT_EQ(client_.call("c")->result, "1");
}

TEST_F(CommandsBetween, ATextThatIsNoJsonIsRefusedWhereItIsGiven) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  ASSERT_TRUE(handler);
  for (const auto* text : {"", "{", "1 2", R"({"a":1,"a":2})", "nul", R"(1},"more":true,"x":{)", "1e999", "\"\x80\""}) {
    expect_error(client_.call("c", text), Errc::invalid_parameter, "arguments");
    expect_error(client_.emit("t", text), Errc::invalid_parameter);
  }
  std::optional<Errc> code;
  client_.call_async("c", "{", {}, [&](const Result<CallAnswer>& answer) { code = answer.error().code; });
  EXPECT_FALSE(code);
  dispatch_until(client_, [&] { return code.has_value(); });
  EXPECT_EQ(code, Errc::invalid_parameter);
  EXPECT_FALSE(*handler->next()) << "nothing was sent";
}

TEST_F(CommandsBetween, ACallEndsWhenItsTimeIsOver) {
  auto other = daemon_.connect();
  auto handler = other.handle("c", {7});
  ASSERT_TRUE(handler);
  std::optional<Error> error;
  client_.call_async("c", "1", {.timeout = std::chrono::milliseconds(50)},
                     [&](const Result<CallAnswer>& answer) { error = answer.error(); });
  auto call = handler->wait(long_enough);
  ASSERT_TRUE(call);
  EXPECT_FALSE(call->cancelled());
  dispatch_until(client_, [&] { return error.has_value(); });
  EXPECT_EQ(error->code, Errc::call_timed_out);
  EXPECT_THAT(error->text(), HasSubstr("50 ms"));
  dispatch_until(other, [&] { return call->cancelled(); });
  EXPECT_TRUE(call->answer("1")) << "which is dropped";
  EXPECT_EQ(client_.call("c", "2", {.timeout = std::chrono::milliseconds(0)}).error().code, Errc::call_timed_out);
}

TEST_F(CommandsBetween, DispatchTellsOfCallsAndOfTheirEnd) {
  auto other = daemon_.connect();
  auto handler = other.handle("c", {7});
  ASSERT_TRUE(handler);
  std::optional<Errc> code;
  auto pending =
      client_.call_async("c", "1", {}, [&](const Result<CallAnswer>& answer) { code = answer.error().code; });
  std::array<Event, 8> events;
  ASSERT_EQ(*other.wait(events, long_enough), 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::call_arrived);
  EXPECT_EQ(events[0].token, Token{7});
  auto call = handler->next();
  ASSERT_TRUE(call && *call);
  pending.cancel();
  ASSERT_EQ(*other.wait(events, long_enough), 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::call_cancelled);
  EXPECT_EQ(events[0].token, Token{7});
  EXPECT_TRUE((*call)->cancelled());
  dispatch_until(client_, [&] { return code.has_value(); });
  EXPECT_EQ(code, Errc::call_cancelled);
  pending.cancel();
  EXPECT_EQ(other.dispatch(events), 0U) << "nothing more is told";
}

TEST_F(CommandsBetween, ACommandHasOneHandlerUntilItEnds) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  ASSERT_TRUE(handler);
  expect_error(client_.handle("c"), Errc::command_exists, "another connection");
  expect_error(other.handle("c"), Errc::command_exists, "this client");
  expect_error(client_.call("d"), Errc::no_such_command);
  handler = client_.handle("d");
  ASSERT_TRUE(handler) << "and the first has ended";
  ASSERT_TRUE(other.emit("t"));  // which memiod has after the end of it
  EXPECT_TRUE(client_.handle("c"));
  expect_error(client_.handle("a b"), Errc::invalid_name, "not a name");
  expect_error(client_.call("a b"), Errc::invalid_name);
}

TEST_F(CommandsBetween, ACommandOutsideTheGrantsIsOneThatNobodyHandles) {
  const auto other = start_handler("c", [](CommandCall call) { ASSERT_TRUE(call.answer("1")); });
  auto page = scoped(client_, {{"page/**", {Right::invoke, Right::handle}}, {"c", {Right::read, Right::handle}}});
  const auto outside = page.call("c");
  const auto absent = page.call("d");
  expect_error(outside, Errc::no_such_command);
  EXPECT_EQ(outside.error().text().size(), absent.error().text().size());
  expect_error(page.handle("other"), Errc::permission_denied, "may not handle");
  auto handler = page.handle("page/c");
  ASSERT_TRUE(handler) << handler.error().text();
  auto caller = scoped(client_, {{"**", {Right::invoke}}});
  EXPECT_EQ(caller.call("c")->result, "1");
  expect_error(caller.open("region", Access::read), Errc::no_such_region);
  // Rights are only ever narrowed.
  auto wider = scoped(page, {{"**", {Right::invoke, Right::handle}}});
  expect_error(wider.call("c"), Errc::no_such_command);
}

TEST_F(CommandsBetween, NamesOfCommandsDoNotMakeRegionsKnown) {
  const auto region = client_.create("a", {.capacity = 1});
  auto page = scoped(client_, {{"**", {Right::invoke, Right::handle, Right::emit, Right::listen}}});
  EXPECT_EQ(page.stat("a").error().code, Errc::no_such_region);
  EXPECT_TRUE(page.list()->empty());
}

TEST_F(CommandsBetween, RegionsBytesAndDescriptorsGoAlong) {
  const auto other = start_handler("sum", [](CommandCall call) {
    auto& attached = call.attachments();
    if (attached.size() != 3 || !attached[0].is_region() || attached[1].is_region()) ::abort();
    auto region = std::move(*attached[0].take_region());
    const auto seen = text(region.read()->data()) + "," + text(attached[1].bytes().value());
    auto out = std::move(*attached[2].take_descriptor());
    if (::write(out.get(), "there", 5) != 5) ::abort();
    if (!region.write(bytes("written by the handler"))) ::abort();
    std::vector<Attachment> back;
    back.push_back(std::move(*Attachment::of_region(region)));
    back.push_back(std::move(*Attachment::of_bytes(bytes(seen))));
    ASSERT_TRUE(call.answer(R"({"region":{"$region":0},"seen":{"$bytes":1}})", std::move(back)));
  });
  auto region = client_.create("r", {.capacity = 64});
  ASSERT_TRUE(region->write(bytes("in a region")));
  auto [read_end, write_end] = make_pipe();
  CallOptions options;
  options.attachments.push_back(std::move(*Attachment::of_region(*region)));
  options.attachments.push_back(std::move(*Attachment::of_bytes(bytes("as bytes"))));
  options.attachments.push_back(Attachment::of_descriptor(std::move(write_end)));
  auto answer = client_.call("sum", R"([{"$region":0},{"$bytes":1},{"$descriptor":2}])", std::move(options));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->result, R"({"region":{"$region":0},"seen":{"$bytes":1}})");
  ASSERT_EQ(answer->attachments.size(), 2U);
  EXPECT_EQ(text(*answer->attachments[1].bytes()), "in a region,as bytes");
  auto same = answer->attachments[0].take_region();
  ASSERT_TRUE(same) << same.error().text();
  EXPECT_EQ(same->info().generation, region->info().generation);
  EXPECT_EQ(text(same->read()->data()), "written by the handler");
  EXPECT_EQ(answer->attachments[0].take_region().error().code, Errc::misuse);
  EXPECT_EQ(answer->attachments[0].bytes().error().code, Errc::misuse);
  std::array<char, 8> said{};
  EXPECT_EQ(::read(read_end.get(), said.data(), said.size()), 5);
}

TEST_F(CommandsBetween, ToPassARegionOnIsToGrantIt) {
  auto page = scoped(client_, {{"c", {Right::handle}}});
  auto handler = page.handle("c");
  ASSERT_TRUE(handler);
  auto region = client_.create("secret", {.capacity = 64});
  ASSERT_TRUE(region->write(bytes("x")));
  auto reading = client_.open("secret", Access::read);
  const auto pass = [&](const Region& passed) {
    CallOptions options;
    options.attachments.push_back(std::move(*Attachment::of_region(passed)));
    client_.call_async("c", "null", std::move(options), [](const Result<CallAnswer>&) {});
    auto call = handler->wait(long_enough);
    return std::move(*call->attachments().at(0).take_region());
  };
  auto writable = pass(*region);
  EXPECT_EQ(writable.access(), Access::write);
  EXPECT_TRUE(writable.write(bytes("y")));
  auto readable = pass(*reading);
  EXPECT_EQ(readable.access(), Access::read);
  EXPECT_EQ(text(readable.read()->data()), "y");
  EXPECT_EQ(page.open("secret", Access::read).error().code, Errc::no_such_region) << "by itself it still may not";
  // The handle is the handler's, and closed by it.
  EXPECT_EQ(client_.stat("secret")->region.handles, 4U);
  { const auto closed = std::move(writable); }
  { const auto closed = std::move(readable); }
  // Closing is said on the same connection as this, and before it.
  EXPECT_EQ(page.emit("t").error().code, Errc::permission_denied);
  EXPECT_EQ(client_.stat("secret")->region.handles, 2U);
}

TEST_F(CommandsBetween, ARegionThatThereIsNoRoomForEndsItsCallAlone) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  auto region = client_.create("r", {.capacity = 64});
  const auto call = [&](std::optional<Error>& error) {
    CallOptions options;
    options.attachments.push_back(std::move(*Attachment::of_region(*region)));
    client_.call_async("c", "null", std::move(options),
                       [&](const Result<CallAnswer>& answer) { error = answer ? Error{} : answer.error(); });
  };
  std::optional<Error> error;
  call(error);
  ASSERT_TRUE(handler->wait(long_enough)->answer("1")) << "there is room, and all connections are made";
  dispatch_until(client_, [&] { return error.has_value(); });
  error.reset();
  call(error);
  {
    const NoRoomForFds no_room(1);
    ASSERT_TRUE(becomes([&] {
      other.dispatch({});
      client_.dispatch({});
      return error.has_value();
    }));
  }
  EXPECT_THAT(error->text(), HasSubstr("no room for the descriptors"));
  EXPECT_EQ(client_.stat("r")->region.handles, 1U);
  error.reset();
  call(error);
  EXPECT_TRUE(handler->wait(long_enough));
}

TEST_F(CommandsBetween, AnExclusiveRegionIsPassedOnForReading) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  auto region = client_.create("r", {.capacity = 64, .exclusive = true});
  CallOptions options;
  options.attachments.push_back(std::move(*Attachment::of_region(*region)));
  client_.call_async("c", "null", std::move(options), [](const Result<CallAnswer>&) {});
  auto call = handler->wait(long_enough);
  EXPECT_EQ(call->attachments().at(0).take_region()->access(), Access::read);
}

TEST_F(CommandsBetween, BytesThatCouldStillBeChangedAreRefused) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  UniqueFd unsealed(::memfd_create("bytes", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(unsealed.get(), "x", 1), 1);
  ASSERT_EQ(::fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0) << "but not writing";
  CallOptions options;
  options.attachments.push_back(Attachment::of_descriptor(std::move(unsealed)));
  options.attachments.push_back(std::move(*Attachment::of_bytes({})));
  client_.call_async("c", "null", std::move(options), [](const Result<CallAnswer>&) {});
  auto call = handler->wait(long_enough);
  ASSERT_TRUE(call);
  expect_error(call->attachments().at(0).bytes(), Errc::corrupt, "sealed");
  EXPECT_TRUE(call->attachments().at(1).bytes()->empty());
}

TEST_F(CommandsBetween, SocketsAndTooManyAreRefused) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd end(ends[1]);
  CallOptions with_socket;
  with_socket.attachments.push_back(Attachment::of_descriptor(UniqueFd(ends[0])));
  expect_error(client_.call("c", "1", std::move(with_socket)), Errc::invalid_parameter, "fileDescriptors[0]");
  auto region = client_.create("r", {.capacity = 64});
  CallOptions many;
  for (int i = 0; i < 6; ++i) many.attachments.push_back(std::move(*Attachment::of_region(*region)));
  expect_error(client_.call("c", "1", std::move(many)), Errc::limit_exceeded, "5 regions");
  EXPECT_FALSE(*handler->next());
}

TEST_F(CommandsBetween, AnOrdinaryCallWaitsAndHoldsTheNextBack) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  RawConnection raw(daemon_.socket_path());
  ASSERT_TRUE(raw.send(std::string(R"({"method":"io.memio.Invoke","parameters":{"name":"c","arguments":[1]}})") + '\0' +
                       R"({"method":"io.memio.Invoke","parameters":{"name":"c","arguments":[2]}})" + '\0' +
                       R"({"method":"io.memio.List"})" + '\0'));
  auto first = handler->wait(long_enough);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->arguments(), "[1]");
  ASSERT_TRUE(client_.list());
  EXPECT_FALSE(*handler->next()) << "the second waits for the first";
  ASSERT_TRUE(first->reject("Nope", "not the first", "{}"));
  auto reply = raw.receive();
  EXPECT_EQ(reply->error, "io.memio.CommandFailed");
  EXPECT_EQ(reply->parameters, Json::parse(R"({"error":"Nope","message":"not the first","details":{}})"));
  auto second = handler->wait(long_enough);
  ASSERT_TRUE(second->answer("2.5"));
  reply = raw.receive();
  EXPECT_EQ(reply->error, "");
  EXPECT_EQ(reply->parameters, Json::parse(R"({"result":2.5,"attachments":[]})"));
  EXPECT_TRUE(raw.receive()->parameters.contains("regions"));
  // And it is given up with its connection.
  ASSERT_TRUE(raw.send(std::string(R"({"method":"io.memio.Invoke","parameters":{"name":"c"}})") + '\0'));
  auto third = handler->wait(long_enough);
  { const RawConnection gone = std::move(raw); }
  dispatch_until(other, [&] { return third->cancelled(); });
}

TEST_F(CommandsBetween, AConnectionThatReceivesSaysEverythingOneway) {
  RawConnection raw(daemon_.socket_path());
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.Receive"})")->error, "org.varlink.service.ExpectedMore");
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.Handle","parameters":{"name":"c"}})")->error, "io.memio.PermissionDenied");
  const auto refused =
      raw.ask(R"({"method":"io.memio.Receive","more":true,"parameters":{"handle":["c","c"],"listen":["**"]}})");
  EXPECT_EQ(refused->error, "io.memio.CommandExists");
  EXPECT_TRUE(left_over().empty()) << "nothing of it was done";
  EXPECT_EQ(
      raw.ask(R"({"method":"io.memio.Receive","more":true,"parameters":{"handle":["c"]}})")->parameters.at("kind"),
      "ready");
  const auto wrong = raw.ask(R"({"method":"io.memio.Handle","oneway":true,"parameters":{"name":7,"id":12}})");
  EXPECT_EQ(wrong->parameters.at("error"), "org.varlink.service.InvalidParameter");
  EXPECT_EQ(wrong->parameters.at("message"), "name");
  EXPECT_EQ(wrong->parameters.at("id"), 12);
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.List"})")->error, "io.memio.MalformedMessage");
  const auto emitted = raw.ask(R"({"method":"io.memio.Emit","oneway":true,"parameters":{"topic":"t","id":3}})");
  EXPECT_EQ(emitted->parameters, Json::parse(R"({"kind":"answer","id":3})"));
}

TEST_F(CommandsBetween, AMessageWithUnknownFieldsIsRefusedByName) {
  RawConnection raw(daemon_.socket_path());
  const auto reply = raw.ask(R"({"method":"io.memio.Invoke","parameters":{"name":"c","argument":1}})");
  EXPECT_EQ(reply->error, "org.varlink.service.InvalidParameter");
  EXPECT_EQ(reply->parameters.at("parameter"), "argument");
}

TEST_F(CommandsBetween, CallsUnderWayFailWhenMemiodEndsAndCommandsComeBack) {
  auto other = daemon_.connect();
  auto handler = other.handle("c", {1});
  auto second = other.handle("d");
  std::optional<Errc> code;
  client_.call_async("c", "1", {}, [&](const Result<CallAnswer>& answer) { code = answer.error().code; });
  auto call = handler->wait(long_enough);
  ASSERT_TRUE(call);
  daemon_.kill();
  dispatch_until(client_, [&] { return code.has_value(); });
  EXPECT_EQ(code, Errc::disconnected);
  dispatch_until(other, [&] { return call->cancelled(); });
  EXPECT_TRUE(call->answer("1"));
  daemon_.start();
  // Somebody else is faster with one of the two.
  auto thief = daemon_.connect();
  auto stolen = thief.handle("d");
  ASSERT_TRUE(stolen);
  const auto ended = second->wait(long_enough);
  expect_error(ended, Errc::command_exists);
  ASSERT_TRUE(client_.emit("receiving")) << "the caller has found memiod again as well";
  std::optional<std::string> answer;
  client_.call_async("c", "2", {}, [&](Result<CallAnswer> got) { answer = got ? got->result : got.error().text(); });
  auto again = handler->wait(long_enough);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->arguments(), "2");
  ASSERT_TRUE(again->answer("3"));
  dispatch_until(client_, [&] { return answer.has_value(); });
  EXPECT_EQ(*answer, "3");
}

// It notices that memiod was away in the middle of asking it for something.
TEST_F(CommandsBetween, ComeBackOnceWhenTheirHandlerAsksForSomethingElse) {
  auto other = daemon_.connect();
  std::map<std::string, CommandHandler> handlers;
  for (const char* name : {"c", "d", "e"}) handlers.emplace(name, std::move(*other.handle(name)));
  daemon_.kill();
  daemon_.start();
  const auto unknown = other.call("nobody");
  expect_error(unknown, Errc::no_such_command);
  handlers.emplace("f", std::move(*other.handle("f")));
  for (auto& [name, handler] : handlers) {
    const auto unanswered = client_.call(name, "null", {.timeout = std::chrono::milliseconds(1)});
    expect_error(unanswered, Errc::call_timed_out);
    const auto next = handler.next();
    EXPECT_TRUE(next) << name << ": " << next.error().text();
  }
}

TEST_F(CommandsBetween, AHandlerThatStoppedHasItsCallsWait) {
  auto other = start_handler("c", [](CommandCall call) { ASSERT_TRUE(call.answer(call.arguments())); });
  other.signal(SIGSTOP);
  int answered = 0;
  for (int i = 0; i < 500; ++i)
    client_.call_async("c", '"' + std::string(4000, 'x') + '"', {},
                       [&](const Result<CallAnswer>& answer) { answered += answer ? 1 : 0; });
  EXPECT_TRUE(daemon_.connect().list());
  other.signal(SIGCONT);
  dispatch_until(client_, [&] { return answered == 500; });
}

constexpr std::string_view small_quotas = R"({"limits": {
  "connection": {"calls": 3, "commands": 2, "listens": 2, "mailBytes": "1K"},
  "scoped": {"calls": 3, "commands": 2, "listens": 2, "mailBytes": "1K", "handles": 1}}})";

class CommandQuotas : public MailTest {
 protected:
  CommandQuotas() : MailTest(std::string(small_quotas)) {}
  Client client_ = connect_receiving();
};

TEST_F(CommandQuotas, SayWhichTheyAre) {
  auto other = daemon_.connect();
  std::vector<CommandHandler> handlers;
  for (const auto* name : {"a", "b"}) handlers.push_back(std::move(*other.handle(name)));
  EXPECT_THAT(other.handle("c").error().text(), HasSubstr("limits.scoped.commands"));
  std::vector<Listener> listeners;
  for (const auto* pattern : {"a", "b"}) listeners.push_back(std::move(*other.listen(pattern)));
  EXPECT_THAT(other.listen("c").error().text(), HasSubstr("limits.scoped.listens"));
  int answered = 0;
  for (int i = 0; i < 3; ++i)
    client_.call_async("a", "1", {}, [&](const Result<CallAnswer>& answer) { answered += answer ? 1 : 0; });
  EXPECT_THAT(client_.call("a").error().text(), HasSubstr("limits.scoped.calls"));
  EXPECT_THAT(daemon_.connect().call("a", '"' + std::string(2000, 'x') + '"').error().text(),
              HasSubstr("limits.scoped.mailBytes"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handlers[0].wait(long_enough)->answer("1"));
  dispatch_until(client_, [&] { return answered == 3; });
  client_.call_async("a", "1", {}, [&](const Result<CallAnswer>& answer) { answered += answer ? 1 : 0; });
  ASSERT_TRUE(handlers[0].wait(long_enough)->answer("1"));
  dispatch_until(client_, [&] { return answered == 4; });
}

TEST_F(CommandQuotas, ACallWhoseRegionsTheHandlerHasNoRoomForFails) {
  auto other = daemon_.connect();
  auto handler = other.handle("c");
  const auto region = client_.create("r", {.capacity = 16});
  CallOptions options;
  for (int i = 0; i < 2; ++i) options.attachments.push_back(std::move(*Attachment::of_region(*region)));
  const auto answer = client_.call("c", "1", std::move(options));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::limit_exceeded) << answer.error().text();
  EXPECT_FALSE(*handler->next());
  EXPECT_EQ(client_.stat("r")->region.handles, 1U) << "what was opened is closed again";
}

}  // namespace
}  // namespace memio::test

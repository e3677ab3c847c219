// SPDX-License-Identifier: MIT
// Commands and messages between pages and native programs.
#include <array>
#include <optional>

#include "common/fd_source.h"
#include "pages.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

class Commands : public WebKitTest {
 protected:
  Commands() {
    EXPECT_TRUE(client_.listen("t/none"));  // so that the client has the connection on which it receives
    count_descriptors();
  }
  // Serves the native client in the main loop, as an application would.
  const webext::FdSource source_{client_.get_fd(), [this] {
                                   std::array<Event, 16> events;
                                   const auto count = client_.dispatch(events);
                                   for (const auto& event : std::span(events).first(count))
                                     if (on_event_) on_event_(event);
                                 }};
  std::function<void(const Event&)> on_event_;

  // Has `answer` answer the calls of a command.
  CommandHandler handle(const std::string& name, std::function<void(CommandCall&)> answer) {
    auto handler = client_.handle(name, Token{1});
    if (!handler) throw std::runtime_error(handler.error().text());
    on_event_ = [this, answer = std::move(answer)](const Event& event) {
      if (event.kind == Event::Kind::call_cancelled) ++cancellations_;
      if (event.kind != Event::Kind::call_arrived) return;
      for (;;) {
        auto call = handler_->next();
        if (!call || !*call) return;
        answer(**call);
      }
    };
    return std::move(*handler);
  }
  std::optional<CommandHandler> handler_;
  int cancellations_ = 0;
};

TEST_F(Commands, APageInvokesANativeProgram) {
  std::string seen;
  handler_ = handle("t/add", [&](CommandCall& call) {
    seen = call.name();
    const Json arguments = Json::parse(call.arguments());
    if (arguments.contains("refuse"))
      ASSERT_TRUE(call.reject("TooDark", "there is nothing to be seen", R"({"lux": [0.25, -1]})"));
    else
      ASSERT_TRUE(call.answer(Json(arguments.at("a").get<double>() + arguments.at("b").get<double>()).dump()));
  });
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const sums = await Promise.all([1, 2, 3].map(a => memio.invoke('t/add', {a, b: -0.5})));
    const error = await memio.invoke('t/add', {refuse: true}).catch(e => e);
    return [sums, error instanceof memio.MemioError && error.rejected, error.name, error.message, error.details];)js"),
            Json::parse(R"([[0.5, 1.5, 2.5], true, "TooDark", "there is nothing to be seen", {"lux": [0.25, -1]}])"));
  EXPECT_EQ(seen, "t/add");
}

TEST_F(Commands, BytesAndRegionsGoAlong) {
  auto image = make_region("t/image");
  ASSERT_TRUE(publish(image, "pixels"));
  auto secret = make_region("secret/image");  // which the page may not open
  ASSERT_TRUE(publish(secret, "hidden"));
  std::string bytes, text;
  handler_ = handle("t/blur", [&](CommandCall& call) {
    const Json arguments = Json::parse(call.arguments());
    auto& attachments = call.attachments();
    ASSERT_EQ(attachments.size(), 2U);
    const auto mask = attachments[arguments["mask"]["$bytes"].get<std::size_t>()].bytes();
    ASSERT_TRUE(mask) << mask.error().text();
    bytes.assign(reinterpret_cast<const char*>(mask->data()), mask->size());
    auto region = attachments[arguments["list"][1]["$region"].get<std::size_t>()].take_region();
    ASSERT_TRUE(region) << region.error().text();
    text = text_of(*region);
    std::vector<Attachment> back;
    back.push_back(std::move(*Attachment::of_region(secret)));
    back.push_back(std::move(*Attachment::of_bytes(std::as_bytes(std::span("xyz", 3)))));
    ASSERT_TRUE(call.answer(R"({"region": {"$region": 0}, "rest": [{"$bytes": 1}, {"$bytes": 1}]})", std::move(back)));
  });
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const image = await memio.open('t/image');
    const mask = new Uint8Array([65, 66, 67]);
    const {region, rest} = await memio.invoke('t/blur', {mask, list: [1, image]});
    const text = bytes => String.fromCharCode(...bytes);
    const came = text(rest[1]);
    structuredClone(rest[0], {transfer: [rest[0].buffer]});
    structuredClone(mask, {transfer: [mask.buffer]});
    const own = await memio.open('secret/image').catch(e => e.name);
    globalThis.kept = region;
    return [region instanceof memio.Region, region.name, text(region.read().data), region.access, came, own];)js"),
            Json::parse(R"([true, "secret/image", "hidden", "write", "xyz", "io.memio.NoSuchRegion"])"));
  EXPECT_EQ(bytes, "ABC");
  EXPECT_EQ(text, "pixels");
  ASSERT_TRUE(publish(secret, "more"));
  EXPECT_EQ(
      browser.run(
          "const s = kept.read(); const t = String.fromCharCode(...s.data); s.release(); kept.close(); return t;"),
      "more");
}

TEST_F(Commands, ANativeProgramAndAnotherPageInvokeAPage) {
  Browser handling(memio_.get());
  ASSERT_TRUE(handling.load_html());
  ASSERT_EQ(handling.run(R"js(
    globalThis.stop = await memio.handle('t/page', async (args, {name, signal}) => {
      if (args === 'fail') throw Object.assign(new TypeError('not that'), {details: {args}});
      await new Promise(resolve => setTimeout(resolve));
      return {name, args, bytes: args.bytes && new Uint8Array([...args.bytes].reverse()), aborted: signal.aborted};
    });
    return 1;)js"),
            1);
  std::optional<Result<CallAnswer>> answered;
  client_.call_async("t/page", R"([1, {"x": null}])", {}, [&](auto answer) { answered = std::move(answer); });
  ASSERT_TRUE(run_until([&] { return answered.has_value(); }));
  ASSERT_TRUE(*answered) << answered->error().text();
  EXPECT_EQ(Json::parse((*answered)->result),
            Json::parse(R"({"name": "t/page", "args": [1, {"x": null}], "aborted": false})"));
  answered.reset();
  client_.call_async("t/page", R"("fail")", {}, [&](auto answer) { answered = std::move(answer); });
  ASSERT_TRUE(run_until([&] { return answered.has_value(); }));
  ASSERT_FALSE(*answered);
  ASSERT_TRUE(answered->error().rejection);
  EXPECT_EQ(answered->error().rejection->error, "TypeError");
  EXPECT_EQ(answered->error().message, "not that");
  EXPECT_EQ(Json::parse(answered->error().rejection->details), Json::parse(R"({"args": "fail"})"));

  Browser other(memio_.get());
  ASSERT_TRUE(other.load_html());
  EXPECT_EQ(other.run(R"js(
    const {bytes} = await memio.invoke('t/page', {bytes: new Uint8Array([1, 2, 3])});
    const taken = await memio.handle('t/page', () => 1).catch(e => e.name);
    return [[...bytes], taken];)js"),
            Json::parse(R"([[3, 2, 1], "io.memio.CommandExists"])"));
  ASSERT_EQ(handling.run("stop(); return 1;"), 1);
  EXPECT_EQ(other.run(R"js(
    for (;;) try { return await (await memio.handle('t/page', () => 2), memio.invoke('t/page')); } catch {}
  )js"),
            2);
}

TEST_F(Commands, EndByTimeSignalAndHandler) {
  std::optional<CommandCall> kept;
  handler_ = handle("t/slow", [&](CommandCall& call) { kept.emplace(std::move(call)); });
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run("await memio.invoke('t/slow', 1, {timeout: 30});").value("error", ""), "io.memio.CallTimedOut");
  ASSERT_TRUE(run_until([&] { return cancellations_ == 1; }));
  EXPECT_TRUE(kept && kept->cancelled());
  EXPECT_EQ(browser.run(R"js(
    const controller = new AbortController();
    const failed = memio.invoke('t/slow', 1, {signal: controller.signal}).catch(e => e.message);
    setTimeout(() => controller.abort(new Error('never mind')), 30);
    return await failed;)js"),
            "never mind");
  ASSERT_TRUE(run_until([&] { return cancellations_ == 2; }));
  ASSERT_EQ(browser.run("globalThis.failed = memio.invoke('t/slow', 1).catch(e => e.name); return 1;"), 1);
  ASSERT_TRUE(run_until([&] { return kept && !kept->cancelled(); }));
  kept.reset();
  EXPECT_EQ(browser.run("return await failed;"), "Unanswered");
  handler_.reset();
  EXPECT_EQ(browser.run("await memio.invoke('t/slow', 1);").value("error", ""), "io.memio.NoSuchCommand");
  for (const auto& [code, error] : std::vector<std::pair<std::string, std::string>>{
           {"memio.invoke('u/other')", "io.memio.NoSuchCommand"},
           {"memio.handle('u/other', () => 1)", "io.memio.PermissionDenied"},
           {"memio.emit('u/other')", "io.memio.PermissionDenied"},
           {"memio.invoke('../x')", "io.memio.InvalidName"},
           {"memio.handle(5, () => 1)", "io.memio.InvalidName"},
           {"memio.listen('a**b/../', () => 1)", "io.memio.InvalidPattern"},
           {"memio.emit('t/x', new Uint8Array(1))", "io.memio.client.Misuse"}})
    EXPECT_EQ(browser.run("await " + code + ";").value("error", ""), error) << code;
}

TEST_F(Commands, AreNeverSentIfTheyAreGivenUpBeforeThereIsAConnection) {
  std::vector<std::string> came;
  handler_ = handle("t/seen", [&](CommandCall& call) {
    came.emplace_back(call.arguments());
    ASSERT_TRUE(call.answer());
  });
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const controller = new AbortController();
    const failed = memio.invoke('t/seen', 1, {signal: controller.signal}).catch(e => e.message);
    controller.abort(new Error('never mind'));
    await memio.invoke('t/seen', 2);
    return await failed;)js"),
            "never mind");
  EXPECT_EQ(came, std::vector<std::string>{"2"});
}

TEST_F(Commands, AHandlerHearsThatItsCallerIsGone) {
  Browser handling(memio_.get());
  ASSERT_TRUE(handling.load_html());
  ASSERT_EQ(handling.run(R"js(
    globalThis.aborted = new Promise(resolve => memio.handle('t/page', (args, {signal}) =>
      new Promise(() => signal.addEventListener('abort', () => resolve(signal.reason.name)))).then(() => globalThis.ready = 1));
    while (!globalThis.ready) await new Promise(resolve => setTimeout(resolve));
    return 1;)js"),
            1);
  {
    Browser other(memio_.get());
    ASSERT_TRUE(other.load_html());
    ASSERT_EQ(other.run("void memio.invoke('t/page').catch(() => {}); await memio.list(); return 1;"), 1);
  }
  EXPECT_EQ(handling.run("return await aborted;"), "io.memio.CallCancelled");
}

TEST_F(Commands, MessagesGoBothWays) {
  auto listener = client_.listen("t/*/moved", Token{2});
  ASSERT_TRUE(listener);
  std::vector<std::string> heard;
  on_event_ = [&](const Event& event) {
    if (event.kind != Event::Kind::message_arrived) return;
    for (;;) {
      auto message = listener->next();
      if (!message || !*message) return;
      heard.push_back((*message)->topic + ' ' + (*message)->payload);
    }
  };
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.heard = [];
    globalThis.once = [];
    globalThis.unlisten = await memio.listen('t/**', m => heard.push(m));
    await memio.once('t/**', m => once.push(m.topic));
    await memio.emit('t/page/moved', {x: -3, y: [0.001, null]});
    await memio.emit('t/page/still');
    return 1;)js"),
            1);
  ASSERT_TRUE(run_until([&] { return heard.size() == 1; }));
  EXPECT_EQ(heard[0], R"(t/page/moved {"x":-3,"y":[0.001,null]})");
  ASSERT_TRUE(client_.emit("t/native", R"({"n": 1})"));
  ASSERT_TRUE(run_until([&] { return browser.run("return heard.length;") == 3; }));
  EXPECT_EQ(browser.run("return [heard, once];"), Json::parse(R"([[
    {"topic": "t/page/moved", "payload": {"x": -3, "y": [0.001, null]}, "lost": 0},
    {"topic": "t/page/still", "payload": null, "lost": 0},
    {"topic": "t/native", "payload": {"n": 1}, "lost": 0}], ["t/page/moved"]])"));
  ASSERT_EQ(browser.run("unlisten(); await memio.emit('t/x'); await memio.list(); return heard.length;"), 3);
}

// A page that stands still while messages come loses the oldest, and is told how many.
TEST_F(Commands, WhoIsSlowLosesMessages) {
  constexpr int count = 2000;
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.seen = 0; globalThis.lost = 0; globalThis.last = -1;
    await memio.listen('t/flood', ({payload, lost: more}) => { ++seen; lost += more; last = payload; });
    return 1;)js"),
            1);
  // The page's thread is busy until there is this region; it cannot be told meanwhile, so it looks.
  auto done = make_region("t/done");
  const auto busy = browser.start(R"js(
    const done = await memio.open('t/done');
    while (done.sequence === 0);
    return 1;)js");
  ASSERT_TRUE(run_until([&] { return handles("t/done") == 2; }));
  for (int i = 0; i < count; ++i) ASSERT_TRUE(client_.emit("t/flood", std::to_string(i)));
  ASSERT_TRUE(client_.list());
  ASSERT_TRUE(publish(done, "x"));
  ASSERT_TRUE(run_until([&] { return browser.run("return last;") == count - 1; }));
  EXPECT_EQ(browser.run("return seen + lost;"), count);
  EXPECT_GT(browser.run("return lost;").get<int>(), 0);
}

// The page cannot be connected again before this program's main loop runs, and that waits until the command is taken.
// What the report says is on the console and in calls.test.ts: WebKit tells the page nothing about errors in the
// runtime's script.
TEST_F(Commands, AreReportedIfAnotherTakesThemWhileMemiodIsAway) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.reported = new Promise(resolve => addEventListener('error', () => resolve(1)));
    await memio.handle('t/page', () => 1);
    return 1;)js"),
            1);
  daemon_.kill();
  daemon_.start();
  Client other = daemon_.connect();
  const auto taken = other.handle("t/page");
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_EQ(browser.run("return await reported;"), 1);
}

TEST_F(Commands, ComeBackWithTheirPage) {
  Pages pages;
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, &error));
  Browser browser(memio_.get(), pages.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_EQ(browser.run(R"js(
    globalThis.heard = [];
    globalThis.calls = 0;
    await memio.handle('t/page', () => ++calls);
    await memio.listen('t/topic', m => heard.push(m.payload));
    globalThis.back = new Promise(resolve => memio.addEventListener('reconnected', resolve, {once: true}));
    return 1;)js"),
            1);
  const auto call = [this] {
    std::optional<Result<CallAnswer>> answered;
    client_.call_async("t/page", "null", {}, [&](auto answer) { answered = std::move(answer); });
    EXPECT_TRUE(run_until([&] { return answered.has_value(); }));
    return *answered ? (*answered)->result : std::string(answered->error().name());
  };
  EXPECT_EQ(call(), "1");
  ASSERT_TRUE(browser.load_uri("page://host/b"));
  EXPECT_TRUE(run_until([&] { return call() == "io.memio.NoSuchCommand"; }));
  ASSERT_TRUE(browser.go_back());
  ASSERT_EQ(browser.run("await back; return calls;"), 1);
  EXPECT_TRUE(run_until([&] { return call() == "2"; }));
  ASSERT_TRUE(client_.emit("t/topic", "7"));
  EXPECT_TRUE(run_until([&] { return browser.run("return heard;") == Json::array({7}); }));
}

}  // namespace

}  // namespace memio::test

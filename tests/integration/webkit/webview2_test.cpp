// SPDX-License-Identifier: MIT
// Pages that were written for WebView2's shared buffers.
#include <algorithm>

#include "webkit_test.h"

namespace memio::test {

namespace {

// What a post came to.
struct Posted {
  bool done = false;
  bool taken = false;
  int code = -1;  // of MEMIO_WEBKIT_ERROR
  std::string message;
};

template <auto finish>
void on_finished(GObject* memio, GAsyncResult* result, gpointer data) {
  const std::unique_ptr<std::shared_ptr<Posted>> held(static_cast<std::shared_ptr<Posted>*>(data));
  GError* error = nullptr;
  (*held)->taken = finish(MEMIO_WEBKIT(memio), result, &error);
  const webext::ErrorPtr owned(error);
  (*held)->done = true;
  if (error && error->domain == MEMIO_WEBKIT_ERROR) (*held)->code = error->code;
  if (error) (*held)->message = error->message;
}

class WebView2 : public WebKitTest {
 protected:
  void SetUp() override { ASSERT_TRUE(memio_webkit_enable(memio_.get(), "https://app.local", "webview2", nullptr)); }

  std::shared_ptr<Posted> await_read(Browser& browser, const std::string& region, guint64 sequence) {
    auto posted = std::make_shared<Posted>();
    memio_webkit_await_read(memio_.get(), browser.view(), 0, region.c_str(), sequence, nullptr,
                            on_finished<memio_webkit_await_read_finish>, new std::shared_ptr<Posted>(posted));
    return posted;
  }
  std::shared_ptr<Posted> post(Browser& browser, const std::string& region, MemioWebkitBufferAccess access,
                               const char* json = nullptr, guint64 frame = 0, GCancellable* cancellable = nullptr) {
    auto posted = std::make_shared<Posted>();
    memio_webkit_post_shared_buffer(memio_.get(), browser.view(), frame, region.c_str(), access, json, cancellable,
                                    on_finished<memio_webkit_post_shared_buffer_finish>,
                                    new std::shared_ptr<Posted>(posted));
    return posted;
  }
  static bool wait_for(const std::shared_ptr<Posted>& posted) {
    return run_until([&] { return posted->done; });
  }
  // The page keeps each event's buffer and data in `got`.
  static void collect(Browser& browser) {
    ASSERT_EQ(browser.run(R"js(
      globalThis.got = [];
      chrome.webview.addEventListener('sharedbufferreceived', e => got.push({buffer: e.getBuffer(), event: e}));
      return typeof chrome.webview.releaseBuffer;
    )js"),
              "function");
  }
  static constexpr auto read_only = MEMIO_WEBKIT_BUFFER_READ_ONLY;
  static constexpr auto read_write = MEMIO_WEBKIT_BUFFER_READ_WRITE;
};

TEST_F(WebView2, APostedRegionArrivesAsAnArrayBufferOfItsLength) {
  auto region = make_region("t/post");
  ASSERT_TRUE(publish(region, "hello there", 3));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const auto posted = post(browser, "t/post", read_only, R"({"kind": "greeting", "n": [1]})");
  ASSERT_TRUE(wait_for(posted));
  EXPECT_TRUE(posted->taken) << posted->message;
  EXPECT_EQ(
      browser.run(R"js(
    const {buffer, event} = got[0];
    const {getBuffer} = event;
    return [new TextDecoder().decode(buffer), buffer instanceof ArrayBuffer, buffer.resizable ?? false, event.additionalData,
      JSON.parse(event.additionalData).kind, event.source === chrome.webview, event instanceof Event, getBuffer() === buffer];
  )js"),
      Json::parse(R"(["hello there", true, false, {"kind": "greeting", "n": [1]}, "greeting", true, true, true])"));
}

TEST_F(WebView2, TheBufferIsTheRegionsMemory) {
  auto region = make_region("t/classic", 100, 1);
  ASSERT_TRUE(publish(region, "abc"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const auto posted = post(browser, "t/classic", read_write);
  const auto second = post(browser, "t/classic", read_only);
  ASSERT_TRUE(wait_for(posted));
  ASSERT_TRUE(wait_for(second));
  ASSERT_TRUE(posted->taken && second->taken) << posted->message << second->message;
  EXPECT_EQ(browser.run(R"js(
    globalThis.bytes = got.map(g => new Uint8Array(g.buffer));
    bytes[0][0] = 88;
    return [got.length, got[0].buffer.byteLength, got[0].buffer === got[1].buffer, bytes[1][0], got[0].event.additionalData ?? 'none'];
  )js"),
            Json::parse(R"([2, 100, false, 88, "none"])"));
  EXPECT_EQ(text_of(region), "Xbc");
  // The other way: the page made its views before.
  ASSERT_TRUE(publish(region, "Ynew"));
  EXPECT_EQ(browser.run("return bytes.map(b => String.fromCharCode(...b.slice(0, 4)));"),
            Json::parse(R"(["Ynew", "Ynew"])"));
  // What a page wrote is published as the header says.
  ASSERT_EQ(browser.run("bytes[0].set([48, 49, 50, 51, 52]); return true;"), true);
  ASSERT_TRUE(region.begin(5));
  ASSERT_TRUE(region.commit(9));
  EXPECT_EQ(text_of(region), "01234");
}

TEST_F(WebView2, AStoreIntoAReadOnlyBufferSurvivesAndReachesNobody) {
  for (const unsigned slots : {1U, 4U}) {
    const std::string name = "t/ro" + std::to_string(slots);
    auto region = make_region(name, 4096, slots);
    ASSERT_TRUE(publish(region, "true"));
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    collect(browser);
    const auto posted = post(browser, name, read_only);
    ASSERT_TRUE(wait_for(posted));
    EXPECT_EQ(browser.run("const b = new Uint8Array(got[0].buffer); b.fill(88); return b[0];"), 'X');
    EXPECT_EQ(text_of(region), "true");
    EXPECT_EQ(browser.terminations(), 0);
  }
}

TEST_F(WebView2, ReleasingDetachesTheBufferAndClosesTheRegion) {
  auto region = make_region("t/release");
  ASSERT_TRUE(publish(region, "x"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const auto posted = post(browser, "t/release", read_only);
  ASSERT_TRUE(wait_for(posted));
  EXPECT_EQ(handles("t/release"), 2U);
  EXPECT_EQ(browser.run(R"js(
    const {buffer} = got[0];
    chrome.webview.releaseBuffer(buffer);
    chrome.webview.releaseBuffer(buffer);
    let error = 'none';
    try { new Uint8Array(buffer); } catch (e) { error = e.name; }
    return [buffer.byteLength, error];
  )js"),
            Json::parse(R"([0, "TypeError"])"));
  EXPECT_TRUE(wait_for_handles("t/release", 1));
}

// A worker may have the buffer longer than the page does.
TEST_F(WebView2, ABufferCanBeSentToAWorker) {
  auto region = make_region("t/worker", 64, 1);
  ASSERT_TRUE(publish(region, "abc"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const auto posted = post(browser, "t/worker", read_write);
  ASSERT_TRUE(wait_for(posted));
  EXPECT_EQ(browser.run(R"js(
    const code = 'let kept; onmessage = e => { kept ??= new Uint8Array(e.data); kept[0] = 87; postMessage(kept[1]); };';
    globalThis.worker = new Worker(URL.createObjectURL(new Blob([code])));
    globalThis.ask = (...a) => new Promise(r => { worker.onmessage = e => r(e.data); worker.postMessage(...a); });
    const {buffer} = got.pop();
    const seen = await ask(buffer, [buffer]);
    return [seen, buffer.byteLength];
  )js"),
            Json::parse("[98, 0]"));
  EXPECT_EQ(text_of(region), "Wbc");
  ASSERT_TRUE(publish(region, "ABC"));
  EXPECT_EQ(browser.run("return await ask(null);"), 'B') << "the worker's buffer is the region still";
  EXPECT_EQ(handles("t/worker"), 2U);
  ASSERT_TRUE(browser.load_html());
  EXPECT_TRUE(wait_for_handles("t/worker", 1));
}

// The first store to guarded memory is a fault, here in another thread than the page's.
TEST_F(WebView2, AWorkerMayStoreIntoAReadOnlyBuffer) {
  auto region = make_region("t/worker", 64, 1);
  ASSERT_TRUE(publish(region, "abc"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const auto posted = post(browser, "t/worker", read_only);
  ASSERT_TRUE(wait_for(posted));
  EXPECT_EQ(browser.run(R"js(
    const code = 'onmessage = e => { const b = new Uint8Array(e.data); b[0] = 87; postMessage([b[0], b[1]]); };';
    const worker = new Worker(URL.createObjectURL(new Blob([code])));
    const {buffer} = got.pop();
    return await new Promise(r => { worker.onmessage = e => r(e.data); worker.postMessage(buffer, [buffer]); });
  )js"),
            Json::parse("[87, 98]"));
  EXPECT_EQ(text_of(region), "abc");
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(WebView2, WhatCannotBePostedIsAnErrorOfTheLibrary) {
  auto region = make_region("t/four");
  auto hidden = make_region("secret/x", 64, 1);
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "https://app.local", "look/**", MEMIO_WEBKIT_READ, &error));
  auto look = make_region("look/only", 64, 1);
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const auto outcome = [&](const std::string& name, MemioWebkitBufferAccess access, const char* json = nullptr) {
    const auto posted = post(browser, name, access, json);
    EXPECT_TRUE(wait_for(posted)) << name;
    EXPECT_FALSE(posted->taken) << name;
    EXPECT_GT(posted->message.size(), 10U);
    return posted->code;
  };
  EXPECT_EQ(outcome("t/four", read_only, "{no json"), MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(outcome("../four", read_only), MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(outcome("t/none", read_only), MEMIO_WEBKIT_ERROR_NO_REGION);
  EXPECT_EQ(outcome("secret/x", read_only), MEMIO_WEBKIT_ERROR_NO_REGION);
  EXPECT_EQ(outcome("look/only", read_write), MEMIO_WEBKIT_ERROR_REFUSED);
  EXPECT_EQ(outcome("t/four", read_write), MEMIO_WEBKIT_ERROR_REFUSED);
  EXPECT_EQ(browser.run("return got.length;"), 0);
  EXPECT_TRUE(wait_for_handles("t/four", 1)) << "what was refused is not left open";
  ASSERT_TRUE(client_.remove("t/four"));
  EXPECT_EQ(outcome("t/four", read_only), MEMIO_WEBKIT_ERROR_NO_REGION) << "WebView2's RO_E_CLOSED";
  // A page of an origin without grants has nothing that could take it.
  ASSERT_TRUE(browser.load_html("https://other.local/"));
  EXPECT_EQ(outcome("look/only", read_only), MEMIO_WEBKIT_ERROR_NOT_TAKEN);
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(WebView2, APageThatLeavesHasNotTakenTheBuffer) {
  auto region = make_region("t/left");
  ASSERT_TRUE(publish(region, "x"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.events = 0;
    chrome.webview.addEventListener('sharedbufferreceived', e => { ++events; globalThis.kept = e; });
    return true;
  )js"),
            true);
  const auto posted = post(browser, "t/left", read_only);
  ASSERT_TRUE(run_until([&] { return browser.run("return events;") == 1; }));
  EXPECT_FALSE(posted->done) << "nobody has asked for the buffer yet";
  ASSERT_TRUE(browser.load_html());
  ASSERT_TRUE(wait_for(posted));
  EXPECT_EQ(posted->code, MEMIO_WEBKIT_ERROR_NOT_TAKEN) << posted->message;
  EXPECT_TRUE(wait_for_handles("t/left", 1));
}

TEST_F(WebView2, TakingItLaterIsTakingIt) {
  auto region = make_region("t/later");
  ASSERT_TRUE(publish(region, "x"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run("chrome.webview.addEventListener('sharedbufferreceived', e => globalThis.kept = e); return 1;"),
            1);
  const auto posted = post(browser, "t/later", read_only);
  ASSERT_TRUE(run_until([&] { return browser.run("return typeof kept;") == "object"; }));
  EXPECT_FALSE(posted->done);
  EXPECT_EQ(browser.run("return kept.getBuffer().byteLength;"), 1);
  ASSERT_TRUE(wait_for(posted));
  EXPECT_TRUE(posted->taken);
}

TEST_F(WebView2, TheApplicationLearnsWhatWasRead) {
  auto region = make_region("t/seen");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const auto before = await_read(browser, "t/seen", 1);
  ASSERT_EQ(browser.run("globalThis.region = await memio.open('t/seen'); return region.read().sequence;"), 0);
  EXPECT_FALSE(before->done) << "what was read is older";
  ASSERT_TRUE(publish(region, "1"));
  ASSERT_TRUE(publish(region, "2"));
  ASSERT_EQ(browser.run("return region.sequence;"), 2);
  EXPECT_FALSE(before->done) << "looking is not reading";
  ASSERT_EQ(browser.run("const s = region.read(); s.release(); return s.sequence;"), 2);
  ASSERT_TRUE(wait_for(before));
  EXPECT_TRUE(before->taken) << before->message;
  const auto after = await_read(browser, "t/seen", 2);
  ASSERT_TRUE(wait_for(after));
  EXPECT_TRUE(after->taken) << "it was read already";
  const auto never = await_read(browser, "t/seen", 3);
  ASSERT_EQ(browser.run("return region.read().sequence;"), 2);
  EXPECT_FALSE(never->done);
  ASSERT_TRUE(browser.load_html());
  ASSERT_TRUE(wait_for(never));
  EXPECT_EQ(never->code, MEMIO_WEBKIT_ERROR_NOT_TAKEN) << never->message;
  const auto bad = await_read(browser, "../x", 1);
  ASSERT_TRUE(wait_for(bad));
  EXPECT_EQ(bad->code, MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT);
}

TEST_F(WebView2, MessagesGoBothWays) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  std::vector<std::pair<std::string, std::string>> received;
  const auto on_message =
      +[](MemioWebkit*, WebKitWebView*, guint64 frame, const char* json, const char* uri, gpointer data) {
        EXPECT_EQ(frame, 0U);
        static_cast<std::vector<std::pair<std::string, std::string>>*>(data)->emplace_back(json, uri);
      };
  g_signal_connect(memio_.get(), "web-message", G_CALLBACK(on_message), &received);
  ASSERT_EQ(browser.run(R"js(
    globalThis.heard = [];
    chrome.webview.addEventListener('message', e => heard.push([e.data, e.source === chrome.webview]));
    chrome.webview.postMessage({ask: 'buffer'});
    chrome.webview.postMessage('text');
    const errors = [undefined, () => 0, {toJSON() { throw new RangeError(); }}, 1n].map(x => {
      try { chrome.webview.postMessage(x); return 'none'; } catch (e) { return e.name; } });
    return errors;
  )js"),
            Json::parse(R"(["TypeError", "TypeError", "RangeError", "TypeError"])"));
  EXPECT_TRUE(run_until([&] { return received.size() == 2; }));
  EXPECT_EQ(received.at(0), std::pair(std::string(R"({"ask":"buffer"})"), std::string("https://app.local/")));
  EXPECT_EQ(received.at(1).first, "\"text\"");
  GError* error = nullptr;
  EXPECT_TRUE(memio_webkit_post_web_message(memio_.get(), browser.view(), 0, R"({"a": [1, "x"]})", &error));
  EXPECT_TRUE(run_until([&] { return browser.run("return heard;") == Json::parse(R"([[{"a": [1, "x"]}, true]])"); }));
  EXPECT_FALSE(memio_webkit_post_web_message(memio_.get(), browser.view(), 0, "{", &error));
  const webext::ErrorPtr owned(error);
  EXPECT_TRUE(g_error_matches(error, MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT));
  g_signal_handlers_disconnect_by_data(memio_.get(), &received);
}

// The page of MemioTauri's guide for Windows, its functions as they are there.
TEST_F(WebView2, MemioTaurisCommandsUploadAndDownload) {
  auto region = make_region("t/state", 1024, 1);
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    const invoke = memio.invoke;
    globalThis.pendingUpload = null;
    globalThis.metadata = [];
    chrome.webview.addEventListener('sharedbufferreceived', (event) => {
      const { additionalData, getBuffer } = event;
      const data = JSON.parse(additionalData);
      metadata.push(data);
      if (data.forUpload) {
        new Uint8Array(getBuffer()).set(pendingUpload.data);
        pendingUpload.done = invoke('plugin:memio|commit_upload_buffer', {
          name: data.name, version: pendingUpload.version, length: pendingUpload.data.byteLength });
      }
      if (data.forDownload) globalThis.downloaded = new TextDecoder().decode(new Uint8Array(getBuffer()));
    });
    globalThis.upload = async (name, data, version) => {
      pendingUpload = { data, version };
      const response = await invoke('plugin:memio|prepare_upload_buffer', { name, size: data.byteLength });
      await pendingUpload.done;
      return response;
    };
    return await upload('t/state', new TextEncoder().encode('uploaded'), 41);
  )js"),
            Json::parse(R"({"name": "t/state", "size": 8, "ready": true})"));
  EXPECT_EQ(text_of(region), "uploaded");
  EXPECT_EQ(region.read()->version(), 41U);
  EXPECT_EQ(browser.run(R"js(
    const sent = await memio.invoke('plugin:memio|send_download_buffer', { name: 't/state' });
    return [sent, downloaded, metadata];
  )js"),
            Json::parse(R"([
    {"name": "t/state", "version": 41, "size": 8, "posted": true}, "uploaded",
    [{"name": "t/state", "size": 8, "forUpload": true},
     {"name": "t/state", "bufferName": "download_t/state", "version": 41, "size": 8, "forDownload": true}]])"));
  EXPECT_EQ(browser.run(R"js(
    const created = await memio.invoke('plugin:memio|create_shared_buffer_windows', { name: 't/new', size: 10 });
    const has = name => memio.invoke('plugin:memio|has_shared_buffer', { name });
    return [created ?? null, await has('t/new'), await has('t/none'), await memio.invoke('plugin:memio|list_shared_buffers_windows')];
  )js"),
            Json::parse(R"([null, true, false, ["t/new", "t/state"]])"));
  EXPECT_EQ(handles("t/state"), 1U);
}

TEST_F(WebView2, HostilePagesGetErrors) {
  auto region = make_region("t/h", 16, 1);
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  collect(browser);
  const Json names = browser.run(R"js(
    const trap = new Proxy({}, { get() { throw new RangeError('trap'); }, has() { throw new RangeError('trap'); },
      ownKeys() { throw new RangeError('trap'); } });
    const p = 'plugin:memio|';
    const tries = [
      () => memio.invoke(), () => memio.invoke('x'), () => memio.invoke(trap), () => memio.invoke(p + 'toString'),
      () => memio.invoke(p + '__proto__'), () => memio.invoke(p + 'prepare_upload_buffer'),
      () => memio.invoke(p + 'prepare_upload_buffer', 5), () => memio.invoke(p + 'prepare_upload_buffer', trap),
      () => memio.invoke(p + 'prepare_upload_buffer', { name: 't/h', size: -1 }),
      () => memio.invoke(p + 'prepare_upload_buffer', { name: 't/h', size: 2 ** 52 }),
      () => memio.invoke(p + 'prepare_upload_buffer', { name: 't/h', size: trap }),
      () => memio.invoke(p + 'commit_upload_buffer', { name: 't/h', version: 1, length: 1 }),
      () => memio.invoke(p + 'commit_upload_buffer', { name: '../x', version: 1, length: 1 }),
      () => memio.invoke(p + 'send_download_buffer', { name: 't/none' }),
      () => chrome.webview.releaseBuffer(), () => chrome.webview.releaseBuffer(new ArrayBuffer(8)),
      () => chrome.webview.releaseBuffer(trap), () => chrome.webview.postMessage(trap),
    ];
    const names = [];
    for (const attempt of tries) { try { await attempt(); names.push('none'); } catch (e) { names.push(e.name); } }
    return names;
  )js");
  EXPECT_EQ(names, Json::parse(R"(["io.memio.InvalidName", "io.memio.NoSuchCommand", "io.memio.InvalidName",
    "io.memio.client.Misuse", "io.memio.client.Misuse", "io.memio.InvalidName", "io.memio.client.Misuse", "RangeError",
    "io.memio.client.Misuse", "io.memio.OutOfResources", "io.memio.client.Misuse", "io.memio.client.Misuse",
    "io.memio.client.Misuse", "io.memio.NoSuchRegion", "TypeError", "TypeError", "TypeError", "RangeError"])"));
  // The page's own built-ins are not used. (The answer of run() is made with JSON.stringify, so that comes first.)
  ASSERT_EQ(browser.run(R"js(
    const bad = () => { throw new Error('tampered'); };
    Object.defineProperty(ArrayBuffer.prototype, 'byteLength', { get: bad });
    for (const [o, k] of [[JSON, 'parse'], [Object, 'defineProperty'], [Object, 'hasOwn'], [Event.prototype, 'constructor'],
                          [ArrayBuffer.prototype, 'transfer'], [Uint8Array.prototype, 'set'], [Reflect, 'apply']]) o[k] = bad;
    return 1;
  )js"),
            1);
  ASSERT_TRUE(publish(region, "hello"));
  const auto posted = post(browser, "t/h", read_only, R"({"a": 1})");
  ASSERT_TRUE(wait_for(posted));
  EXPECT_TRUE(posted->taken) << posted->message;
  EXPECT_EQ(browser.run("const {buffer, event} = got.at(-1); chrome.webview.releaseBuffer(buffer);"
                        "return [buffer.detached, event.additionalData.a];"),
            Json::parse("[true, 1]"));
  EXPECT_EQ(browser.terminations(), 0);
}

// A frame inside the page tells the application where it is by its first message.
TEST_F(WebView2, FramesInsideThePageHaveTheirOwn) {
  ASSERT_TRUE(memio_webkit_allow_inside(memio_.get(), "page://host", "page://host", "t/**", MEMIO_WEBKIT_ALL, nullptr));
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, nullptr));
  ASSERT_TRUE(memio_webkit_enable(memio_.get(), "page://host", "webview2", nullptr));
  auto region = make_region("t/inside");
  ASSERT_TRUE(publish(region, "for the frame"));
  const auto serve = +[](WebKitURISchemeRequest* request, gpointer) {
    const bool inside = std::string_view(webkit_uri_scheme_request_get_path(request)) == "/inside";
    static constexpr std::string_view outer = "<!doctype html><iframe src='/inside'></iframe>";
    static constexpr std::string_view inner =
        "<!doctype html><script>chrome.webview.addEventListener('sharedbufferreceived', e => "
        "chrome.webview.postMessage("
        "new TextDecoder().decode(e.getBuffer()))); chrome.webview.postMessage('here')</script>";
    const std::string_view page = inside ? inner : outer;
    const webext::ObjectPtr<GInputStream> stream(
        g_memory_input_stream_new_from_data(page.data(), static_cast<gssize>(page.size()), nullptr));
    webkit_uri_scheme_request_finish(request, stream.get(), static_cast<gint64>(page.size()), "text/html");
  };
  Browser browser(memio_.get(), [serve](WebKitWebContext* context) {
    webkit_web_context_register_uri_scheme(context, "page", serve, nullptr, nullptr);
  });
  struct Said {
    guint64 frame = 0;
    std::string json, uri;
  };
  std::vector<Said> said;
  const auto on_message =
      +[](MemioWebkit*, WebKitWebView*, guint64 frame, const char* json, const char* uri, gpointer data) {
        static_cast<std::vector<Said>*>(data)->push_back({frame, json, uri});
      };
  g_signal_connect(memio_.get(), "web-message", G_CALLBACK(on_message), &said);
  ASSERT_TRUE(browser.load_uri("page://host/outer"));
  ASSERT_TRUE(run_until([&] { return said.size() == 1; }));
  EXPECT_NE(said[0].frame, 0U);
  EXPECT_EQ(said[0].uri, "page://host/inside");
  const auto posted = post(browser, "t/inside", read_only, nullptr, said[0].frame);
  ASSERT_TRUE(wait_for(posted));
  EXPECT_TRUE(posted->taken) << posted->message;
  ASSERT_TRUE(run_until([&] { return said.size() == 2; }));
  EXPECT_EQ(said[1].json, "\"for the frame\"");
  EXPECT_EQ(said[1].frame, said[0].frame);
  const auto nowhere = post(browser, "t/inside", read_only, nullptr, 1'000'000'000);
  ASSERT_TRUE(wait_for(nowhere));
  EXPECT_EQ(nowhere->code, MEMIO_WEBKIT_ERROR_NOT_TAKEN);
  ASSERT_EQ(browser.run("document.querySelector('iframe').remove(); return true;"), true);
  EXPECT_TRUE(wait_for_handles("t/inside", 1));
  g_signal_handlers_disconnect_by_data(memio_.get(), &said);
}

using WithoutLayers = WebView2;

TEST_F(WithoutLayers, ThereIsNoChrome) {
  auto region = make_region("t/off");
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "https://plain.local", "t/**", MEMIO_WEBKIT_ALL, nullptr));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html("https://plain.local/"));
  EXPECT_EQ(browser.run("return ['chrome' in globalThis, 'memioSharedBuffer' in globalThis];"),
            Json::parse("[false, false]"));
  const auto posted = post(browser, "t/off", read_only);
  ASSERT_TRUE(wait_for(posted));
  EXPECT_EQ(posted->code, MEMIO_WEBKIT_ERROR_REFUSED) << posted->message;
}

}  // namespace

}  // namespace memio::test

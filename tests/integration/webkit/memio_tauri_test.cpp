// SPDX-License-Identifier: MIT
// Pages that were written for MemioTauri: its globals, and the API of its client.
#include <fstream>
#include <iterator>

#include "webkit_test.h"

namespace memio::test {

namespace {

// A page with an import map, and the client that it imports, as an application would serve them.
void serve(WebKitURISchemeRequest* request, gpointer) {
  const bool script = std::string_view(webkit_uri_scheme_request_get_path(request)) == "/memio-client.js";
  std::string text =
      "<!doctype html><script type=importmap>{\"imports\": {\"memio-client\": \"/memio-client.js\"}}</script>";
  if (script) {
    std::ifstream file(MEMIO_CLIENT_JS);
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  const webext::ObjectPtr<GInputStream> stream(g_memory_input_stream_new_from_data(
      g_strndup(text.data(), text.size()), static_cast<gssize>(text.size()), g_free));
  webkit_uri_scheme_request_finish(request, stream.get(), static_cast<gint64>(text.size()),
                                   script ? "text/javascript" : "text/html");
}

class MemioTauri : public WebKitTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "**", MEMIO_WEBKIT_ALL, nullptr));
    ASSERT_TRUE(memio_webkit_enable(memio_.get(), "page://host", "memio-tauri", nullptr));
    ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://reader", "**", MEMIO_WEBKIT_READ, nullptr));
    ASSERT_TRUE(memio_webkit_enable(memio_.get(), "page://reader", "memio-tauri", nullptr));
  }
  static void add_scheme(WebKitWebContext* context) {
    webkit_web_context_register_uri_scheme(context, "page", serve, nullptr, nullptr);
  }
  static bool wait_for_globals(Browser& browser) {
    return run_until([&] { return browser.run("return typeof memioSharedBuffer;") == "function"; });
  }
};

// What the README of MemioTauri shows.
TEST_F(MemioTauri, ItsReadmeWorks) {
  for (const unsigned slots : {1U, 4U}) {
    auto region = client_.create("state", {.capacity = 1 << 20, .slots = slots});
    ASSERT_TRUE(region);
    ASSERT_TRUE(publish(*region, "Hello from Rust!", 1));
    Browser browser(memio_.get(), add_scheme);
    ASSERT_TRUE(browser.load_uri("page://host/"));
    EXPECT_EQ(browser.run(R"js(
      const { MemioClient } = await import('memio-client');
      globalThis.memioClient = new MemioClient();
      await memioClient.waitForSharedMemory('state');
      const snapshot = await memioClient.readSharedStateAsync();
      return [String(snapshot.version), new TextDecoder().decode(snapshot.data), snapshot.view.readString(6, 4),
        memioClient.detectPlatform(), memioClient.isSharedMemoryAvailable(), memioClient.sharedManifest(),
        memioClient.readSharedState(1n)];
    )js"),
              Json::parse(R"(["1", "Hello from Rust!", "from", "linux", true,
                {"version": 1, "buffers": {"state": {"length": 16}}}, null])"))
        << slots << " slots";
    EXPECT_EQ(browser.run(R"js(
      const written = memioClient.writeSharedState(new TextEncoder().encode('Hello from JS!'));
      return [String(written.version), written.length];
    )js"),
              Json::parse(R"(["2", 14])"));
    EXPECT_TRUE(run_until([&] { return text_of(*region) == "Hello from JS!"; })) << text_of(*region);
    EXPECT_EQ(region->read()->version(), 2U);
    EXPECT_EQ(region->sequence(), 2U) << "published once";
    // Also with a version of the page's, and read back from what is shared.
    EXPECT_EQ(browser.run(R"js(
      memioClient.writeSharedStateNamed('state', new TextEncoder().encode('again'), 2n ** 63n);
      await null;
      const snapshot = memioClient.readSharedStateNamed('state');
      return [String(snapshot.version), new TextDecoder().decode(snapshot.data)];
    )js"),
              Json::parse(R"(["9223372036854775808", "again"])"));
    EXPECT_EQ(region->sequence(), 3U);
    ASSERT_TRUE(publish(*region, "native again"));
    EXPECT_EQ(browser.run("return new TextDecoder().decode(memioClient.readSharedState().data);"), "native again");
    EXPECT_EQ(browser.terminations(), 0);
    ASSERT_TRUE(client_.remove("state"));
  }
}

TEST_F(MemioTauri, TheOtherFunctionsOfTheClientWork) {
  auto region = client_.create("files/one", {.capacity = 4096, .slots = 1});
  ASSERT_TRUE(region);
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  EXPECT_EQ(browser.run(R"js(
    const { memioRead, memioWrite, memioUploadFile, MemioClient, createMemioClient } = await import('memio-client');
    const client = createMemioClient({ bufferName: 'files/one' });
    await client.waitForSharedMemory();
    const before = await memioRead('files/one');
    const written = await memioWrite('files/one', new Uint8Array([1, 2, 3]));
    const read = await memioRead('files/one');
    const first = [...read.data];  // the data itself is live
    const stale = await memioRead('files/one', read.version);
    const uploaded = await memioUploadFile('files/one', new File(['in a file'], 'a.txt'));
    const whole = client.readSharedBuffer('files/one');
    return [before, written.success, written.bytesWritten, String(written.version), first, read.length, stale,
      uploaded.success, uploaded.bytesWritten, new TextDecoder().decode((await memioRead('files/one')).data),
      whole.byteLength, whole.byteOffset];
  )js"),
            Json::parse(R"([null, true, 3, "1", [1, 2, 3], 3, null, true, 9, "in a file", 4160, 0])"));
  EXPECT_EQ(text_of(*region), "in a file");
}

TEST_F(MemioTauri, TheGlobalsAreThere) {
  auto classic = client_.create("b", {.capacity = 100, .slots = 1});
  auto snapshot = client_.create("a", {.capacity = 100, .slots = 3});
  auto other = client_.create("old", {.capacity = 100, .slots = 1, .layout = Layout::memio24});
  ASSERT_TRUE(classic && snapshot && other);
  ASSERT_TRUE(publish(*classic, "one", 7));
  ASSERT_TRUE(publish(*snapshot, "three"));
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  ASSERT_TRUE(wait_for_globals(browser));
  EXPECT_EQ(browser.run(R"js(
    const text = b => new TextDecoder().decode(b.slice(64, 64 + Number(new DataView(b.buffer).getBigUint64(16, true))));
    globalThis.kept = memioSharedBuffer('b');
    return [memioListBuffers().sort(), text(kept), kept.length, kept[8], text(__memioSharedBuffers.a),
      Object.keys(__memioSharedBuffers).sort(), __memioSharedManifest, memioSharedBuffer('none'), memioSharedBuffer(),
      memioSharedBuffer('old'), kept instanceof Uint8Array, kept === memioSharedBuffer('b')];
  )js"),
            Json::parse(R"([["a", "b"], "one", 164, 7, "three", ["a", "b"],
              {"version": 1, "buffers": {"a": {"length": 5}, "b": {"length": 3}}}, null, null, null, true, true])"));
  // Live: the same array, and the same object of lengths.
  ASSERT_TRUE(publish(*classic, "longer"));
  EXPECT_EQ(browser.run("return [String.fromCharCode(...kept.slice(64, 70)), __memioSharedManifest.buffers.b.length];"),
            Json::parse(R"(["longer", 6])"));
  EXPECT_EQ(browser.run(R"js(
    return [memioWriteSharedBuffer('a', new Uint8Array([65])), memioWriteSharedBuffer('none', new Uint8Array(1)),
      memioWriteSharedBuffer('a', new Uint8Array(101)), memioWriteSharedBuffer('a', new Uint8Array()),
      memioWriteSharedBuffer('a', 'text'), memioWriteSharedBuffer('a'), memioWriteSharedBuffer()];
  )js"),
            Json::parse("[true, false, false, false, false, false, false]"));
  EXPECT_EQ(text_of(*snapshot), "A");
}

// A program that knows only the header, as those of MemioTauri do, on both sides of the page.
TEST_F(MemioTauri, ProgramsThatKnowOnlyTheHeaderAreSeenToo) {
  auto region = client_.create("state", {.capacity = 100, .slots = 1});
  ASSERT_TRUE(region);
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  ASSERT_TRUE(wait_for_globals(browser));
  ASSERT_EQ(browser.run("globalThis.kept = memioSharedBuffer(); return kept[8];"), 0);
  std::fstream file("/proc/self/fd/" + std::to_string(region->file_descriptor()),
                    std::ios::in | std::ios::out | std::ios::binary);
  const std::uint64_t header[] = {0x5455'5242'4F53'4852, 5, 3};
  file.seekp(64).write("raw", 3);
  file.seekp(0).write(reinterpret_cast<const char*>(header), sizeof header);
  file.flush();
  EXPECT_EQ(
      browser.run("return [kept[8], String.fromCharCode(...kept.slice(64, 67)), __memioSharedManifest.buffers.state];"),
      Json::parse(R"([5, "raw", {"length": 3}])"));
}

TEST_F(MemioTauri, RegionsComeAndGo) {
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  ASSERT_TRUE(wait_for_globals(browser));
  EXPECT_EQ(browser.run("return [memioListBuffers(), memioSharedBuffer()];"), Json::parse("[[], null]"));
  auto region = client_.create("state", {.capacity = 100});
  ASSERT_TRUE(region);
  EXPECT_TRUE(run_until([&] { return browser.run("return memioSharedBuffer()?.length ?? 0;") == 164; }));
  ASSERT_TRUE(client_.remove("state"));
  EXPECT_TRUE(run_until([&] {
    return browser.run("return [memioSharedBuffer(), memioListBuffers().length];") == Json::parse("[null, 0]");
  }));
  auto again = client_.create("state", {.capacity = 200});
  ASSERT_TRUE(again);
  EXPECT_TRUE(run_until([&] { return browser.run("return memioSharedBuffer()?.length ?? 0;") == 264; }));
  ASSERT_TRUE(browser.reload());
  EXPECT_TRUE(run_until([&] { return browser.run("return memioSharedBuffer?.()?.length ?? 0;").is_number(); }));
}

// The page holds the array of an older publish for good, and writers go on.
TEST_F(MemioTauri, ShownSlotsKeepNoWriterOff) {
  auto region = client_.create("state", {.capacity = 100, .slots = 2});
  ASSERT_TRUE(region);
  ASSERT_TRUE(publish(*region, "0"));
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  ASSERT_TRUE(wait_for_globals(browser));
  ASSERT_EQ(browser.run("globalThis.kept = memioSharedBuffer(); return kept[64];"), '0');
  for (int i = 1; i <= 5; ++i)
    EXPECT_TRUE(run_until([&] { return publish(*region, std::to_string(i)).has_value(); })) << i;
  EXPECT_EQ(browser.run("return memioSharedBuffer()[64];"), '5');
}

TEST_F(MemioTauri, AReaderMayStoreAndReachesNobody) {
  for (const unsigned slots : {1U, 4U}) {
    auto region = client_.create("state", {.capacity = 100, .slots = slots});
    ASSERT_TRUE(region);
    ASSERT_TRUE(publish(*region, "true"));
    Browser browser(memio_.get(), add_scheme);
    ASSERT_TRUE(browser.load_uri("page://reader/"));
    ASSERT_TRUE(wait_for_globals(browser));
    EXPECT_EQ(browser.run(R"js(
      const bytes = memioSharedBuffer();
      bytes.fill(88);
      await null;
      return [bytes[70], memioWriteSharedBuffer('state', new Uint8Array(1))];
    )js"),
              Json::parse("[88, false]"));
    EXPECT_EQ(text_of(*region), "true");
    EXPECT_EQ(region->sequence(), 1U);
    // Whoever asks for the array again sees the region's own bytes, and what comes later.
    EXPECT_EQ(browser.run("globalThis.kept = memioSharedBuffer(); return kept[64];"), 't');
    ASSERT_TRUE(publish(*region, "newer"));
    EXPECT_EQ(browser.run("return memioSharedBuffer()[64];"), 'n');
    EXPECT_EQ(browser.terminations(), 0);
    ASSERT_TRUE(client_.remove("state"));
  }
}

// Between the page's stores and the end of its task something looks for what is published.
TEST_F(MemioTauri, LookingForNewsLosesNoStores) {
  for (const unsigned slots : {1U, 4U}) {
    auto region = client_.create("state", {.capacity = 100, .slots = slots});
    ASSERT_TRUE(region);
    ASSERT_TRUE(publish(*region, "before"));
    Browser browser(memio_.get(), add_scheme);
    ASSERT_TRUE(browser.load_uri("page://host/"));
    ASSERT_TRUE(wait_for_globals(browser));
    EXPECT_EQ(browser.run(R"js(
      const array = memioSharedBuffer();
      const header = new DataView(array.buffer);
      array.set([104, 105], 64);
      header.setBigUint64(8, 7n, true);
      header.setBigUint64(16, 2n, true);
      const length = __memioSharedManifest.buffers.state.length;
      await null;
      return [length, __memioSharedManifest.buffers.state.length];
    )js"),
              Json::parse("[6, 2]"))
        << slots << " slots";
    EXPECT_EQ(text_of(*region), "hi");
    EXPECT_EQ(region->read()->version(), 7U);
    ASSERT_TRUE(client_.remove("state"));
  }
}

// MemioTauri's own client does, in memioRead().
TEST_F(MemioTauri, DataViewsAreMadeOfItsArrays) {
  auto region = client_.create("state", {.capacity = 100});
  ASSERT_TRUE(region);
  ASSERT_TRUE(publish(*region, "text", 7));
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  ASSERT_TRUE(wait_for_globals(browser));
  EXPECT_EQ(browser.run(R"js(
    const nameOf = f => { try { f(); return ''; } catch (e) { return e.name; } };
    const view = new DataView(memioSharedBuffer(), 64, 4);
    class Derived extends DataView {}
    return [String(new DataView(memioSharedBuffer()).getBigUint64(8, true)), view.byteLength, view.getUint8(0),
      view instanceof DataView, view.constructor === DataView, new Derived(memioSharedBuffer()) instanceof Derived,
      new DataView(new ArrayBuffer(8), 2).byteLength, nameOf(() => new DataView(new Uint8Array(8))),
      nameOf(() => new DataView()), nameOf(() => DataView(new ArrayBuffer(8)))];
  )js"),
            Json::parse(R"(["7", 4, 116, true, true, true, 6, "TypeError", "TypeError", "TypeError"])"));
}

// States that the page labels itself, with one label.
TEST_F(MemioTauri, AStateUnderTheSameHeaderIsPublished) {
  for (const unsigned slots : {1U, 4U}) {
    auto region = client_.create("state", {.capacity = 1 << 16, .slots = slots});
    ASSERT_TRUE(region);
    ASSERT_TRUE(publish(*region, "before", 9));
    Browser browser(memio_.get(), add_scheme);
    ASSERT_TRUE(browser.load_uri("page://host/"));
    ASSERT_TRUE(wait_for_globals(browser));
    const std::string last(20001, 'x');
    for (const std::string& text : {std::string("aftera"), std::string("afterb"), last, last.substr(1) + 'y'})
      EXPECT_EQ(browser.run("const { MemioClient } = await import('memio-client');"
                            "new MemioClient().writeSharedState(new TextEncoder().encode('" +
                            text + "'), 9n); await null; await null; return memioSharedBuffer()[64];"),
                text[0])
          << slots;
    EXPECT_EQ(text_of(*region), last.substr(1) + 'y') << slots;
    EXPECT_EQ(region->sequence(), 5U) << slots;
    ASSERT_TRUE(client_.remove("state"));
  }
}

TEST_F(MemioTauri, HostilePagesGetNothing) {
  auto region = client_.create("state", {.capacity = 100});
  ASSERT_TRUE(region);
  ASSERT_TRUE(publish(*region, "true"));
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/"));
  ASSERT_TRUE(wait_for_globals(browser));
  EXPECT_EQ(browser.run(R"js(
    const trap = new Proxy({}, { get() { throw new RangeError('trap'); } });
    const lying = new Uint8Array(10);
    Object.defineProperty(lying, 'length', { value: 1e9 });
    const detached = new Uint8Array(8);
    detached.buffer.transfer();
    return [memioSharedBuffer(trap), memioSharedBuffer(7), memioSharedBuffer('__proto__'), memioSharedBuffer('toString'),
      memioWriteSharedBuffer(trap, trap), memioWriteSharedBuffer('state', trap), memioWriteSharedBuffer('state', detached),
      memioWriteSharedBuffer('state', lying)];
  )js"),
            Json::parse("[null, null, null, null, false, false, false, true]"));
  EXPECT_EQ(text_of(*region), std::string(10, '\0'));
  // Lies in the header are not published, and the page is shown the truth again.
  EXPECT_EQ(browser.run(R"js(
    const lie = (at, value) => { const b = memioSharedBuffer(); new DataView(b.buffer).setBigUint64(at, value, true); };
    for (const [at, value] of [[0, 0n], [0, 2n ** 64n - 1n], [16, 101n], [16, 2n ** 64n - 1n], [16, 2n ** 32n]]) {
      lie(at, value);
      await null;
    }
    const b = memioSharedBuffer();
    return [String(new DataView(b.buffer).getBigUint64(16, true)), b.length];
  )js"),
            Json::parse(R"(["10", 164])"));
  EXPECT_EQ(region->sequence(), 2U);
  EXPECT_TRUE(publish(*region, "the writer lock is free"));
  EXPECT_EQ(browser.terminations(), 0);
}

}  // namespace

}  // namespace memio::test

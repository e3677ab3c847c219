// SPDX-License-Identifier: MIT
// Regions in Web Workers: memio-client/worker over what region.shared() gives.
#include <fstream>
#include <sstream>

#include "webkit_test.h"

namespace memio::test {

namespace {

class Worker : public WebKitTest {
 protected:
  Worker() { EXPECT_TRUE(memio_webkit_enable(memio_.get(), "https://app.local", "workers", nullptr)); }
  ~Worker() override { g_unsetenv("JSC_useSharedArrayBuffer"); }  // which the library has set

  // Loads a page that has start(), which makes a worker: `run(code)` has it run the body of an async function, in which
  // `region` is what it has attached.
  static void prepare(Browser& browser) {
    std::ifstream file(MEMIO_WORKER_JS);
    std::stringstream source;
    source << file.rdbuf();
    ASSERT_GT(source.str().size(), 100U);
    ASSERT_TRUE(browser.load_html());
    ASSERT_EQ(browser.run("globalThis.source = " + Json(source.str()).dump() + R"js( + `
      let region;
      const AsyncFunction = (async () => {}).constructor;
      onmessage = async ({data: {buffer, code}}) => {
        try {
          if (buffer) region = attach(buffer);
          postMessage({value: code ? await new AsyncFunction('region', 'attach', code)(region, attach) : 1});
        } catch (e) { postMessage({error: e.name, message: e.message}); }
      };`;
      globalThis.start = async (region) => {
        const worker = new Worker(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})), {type: 'module'});
        const ask = (message) => new Promise((resolve, reject) => {
          worker.onmessage = ({data}) => 'error' in data ? reject(Object.assign(new Error(data.message), {name: data.error})) : resolve(data.value);
          worker.onerror = e => reject(new Error(e.message));
          worker.postMessage(message);
        });
        const buffer = await region.shared();
        await ask({buffer});
        return {buffer, run: code => ask({code}), terminate: () => worker.terminate()};
      };
      return 1;
    )js"),
              1);
  }
};

TEST_F(Worker, IsOffUnlessTheApplicationTurnsItOn) {
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "https://other.local", "t/**", MEMIO_WEBKIT_READ, nullptr));
  auto region = make_region("t/worker");
  for (const bool there : {true, false}) {  // in WebKit; in either case not for this page
    if (!there) g_unsetenv("JSC_useSharedArrayBuffer");
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html("https://other.local/"));
    EXPECT_EQ(browser.run("return typeof SharedArrayBuffer;"), there ? "function" : "undefined");
    const Json result = browser.run("await (await memio.open('t/worker')).shared();");
    EXPECT_EQ(result.value("error", ""), "io.memio.PermissionDenied");
    EXPECT_NE(result.value("message", "").find("memio_webkit_enable"), std::string::npos);
  }
}

TEST_F(Worker, ReadsInPlace) {
  auto region = make_region("t/worker");
  ASSERT_TRUE(publish(region, "one", 41));
  Browser browser(memio_.get());
  prepare(browser);
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker');
    globalThis.worker = await start(region);
    return [worker.buffer instanceof SharedArrayBuffer,
            await worker.run(`globalThis.text = () => { const s = region.read(); const t = String.fromCharCode(...s.data);
                                                        s.release(); return t; };
                              return [text(), region.version, region.sequence, region.name, region.access]`)];
  )js"),
            Json::parse(R"([true, ["one", 41, 1, "t/worker", "read"]])"));
  EXPECT_EQ(handles("t/worker"), 3U) << "the worker has a handle of its own";
  ASSERT_TRUE(publish(region, "two"));
  EXPECT_EQ(browser.run("return await worker.run('return [text(), region.version]');"), Json::parse(R"(["two", 42])"));
}

TEST_F(Worker, LeasesInACellOfItsOwn) {
  auto region = make_region("t/worker", 16, 2);
  region.set_write_timeout(std::chrono::milliseconds(0));
  ASSERT_TRUE(publish(region, "1"));
  Browser browser(memio_.get());
  prepare(browser);
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker');
    globalThis.worker = await start(region);
    await worker.run('globalThis.kept = region.read()');
    region.read().release();
    return 1;
  )js"),
            1);
  ASSERT_TRUE(publish(region, "2"));
  ASSERT_FALSE(publish(region, "3"));
  EXPECT_EQ(browser.run("region.read().release(); return 1;"), 1);
  ASSERT_FALSE(publish(region, "3")) << "the page's release ends no lease of the worker's";
  EXPECT_EQ(browser.run("await worker.run('kept.release()'); return 1;"), 1);
  EXPECT_TRUE(publish(region, "3"));
}

TEST_F(Worker, Publishes) {
  auto region = make_region("t/worker", 16);
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker', {access: 'write'});
    globalThis.worker = await start(region);
    return await worker.run(`
      const first = region.write(new Uint8Array([65, 66]), {version: 2n ** 63n + 5n});
      const place = region.begin(3);
      place.set([67, 68, 69]);
      const second = region.commit();
      region.begin(1);
      region.abort();
      return [first, second, String(region.versionBigInt)];`);
  )js"),
            Json::parse(R"([1, 2, "9223372036854775814"])"));
  EXPECT_EQ(text_of(region), "CDE");
  EXPECT_TRUE(publish(region, "the lock is free"));
  for (const auto& [code, error] : std::vector<std::pair<std::string, std::string>>{
           {"region.write(new Uint8Array(17))", "io.memio.client.PayloadTooLarge"},
           {"region.commit()", "io.memio.client.Misuse"},
           {"region.begin(-1)", "io.memio.client.Misuse"},
           {"attach(new SharedArrayBuffer(10))", "io.memio.client.Misuse"},
           {"attach(new SharedArrayBuffer(1e6))", "io.memio.client.Misuse"},
           {"attach(new ArrayBuffer(1e6))", "io.memio.client.Misuse"}})
    EXPECT_EQ(browser.run("return await worker.run(`" + code + "`);").value("error", ""), error) << code;
}

TEST_F(Worker, HearsOfPublishes) {
  auto region = make_region("t/worker");
  Browser browser(memio_.get());
  prepare(browser);
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker');
    globalThis.worker = await start(region);
    globalThis.other = await start(region);
    globalThis.slept = worker.run('return [region.wait(0, 20000), region.sequence]');
    globalThis.looped = other.run(`
      const seen = [];
      for await (const s of region) { seen.push(s.sequence); if (s.length === 4) break; }
      return seen;`);
    return 1;
  )js"),
            1);
  ASSERT_TRUE(publish(region, "1"));
  EXPECT_EQ(browser.run("return await slept;"), Json::array({true, 1}));
  ASSERT_TRUE(publish(region, "last"));
  const Json seen = browser.run("return await looped;");
  ASSERT_TRUE(seen.is_array()) << seen;
  EXPECT_EQ(seen.back(), 2);
  EXPECT_EQ(browser.run("return await worker.run('return region.wait(2, 30)');"), false);
}

TEST_F(Worker, MayStoreIntoWhatItOnlyReads) {
  auto region = make_region("t/worker", 1 << 16);
  ASSERT_TRUE(publish(region, "true"));
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker');
    globalThis.worker = await start(region);
    return await worker.run(`
      const s = region.read();
      new Uint8Array(s.data.buffer, s.data.byteOffset - 64, 70000).fill(88);
      Atomics.add(s.data, 0, 1);
      const stored = s.data[0];
      const t = region.read();
      return [stored, String.fromCharCode(...t.data), region.version]`);
  )js"),
            Json::parse(R"([89, "true", 1])"));
  EXPECT_EQ(text_of(region), "true");
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Worker, ItsHandleEndsWithItAndWithItsRegion) {
  auto region = make_region("t/worker");
  ASSERT_TRUE(publish(region, "x"));
  Browser browser(memio_.get());
  prepare(browser);
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker');
    globalThis.first = await start(region);
    globalThis.second = await start(region);
    return 1;
  )js"),
            1);
  ASSERT_EQ(handles("t/worker"), 4U);
  EXPECT_EQ(
      browser.run("return (await first.run('region.close(); region.close(); region.read()'));").value("error", ""),
      "io.memio.client.Misuse");
  EXPECT_TRUE(wait_for_handles("t/worker", 3));
  EXPECT_EQ(browser.run("region.close(); return await second.run('region.read()');").value("error", ""),
            "io.memio.client.Misuse");
  EXPECT_TRUE(wait_for_handles("t/worker", 1));
  EXPECT_EQ(browser.run("return new Uint8Array(second.buffer, 16384).every(b => b === 0);"), true);
}

TEST_F(Worker, EachHasABufferOfItsOwn) {
  auto region = make_region("t/worker");
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser
                .run(R"js(
    const region = await memio.open('t/worker');
    const shared = await region.shared();
    const twice = {shared: () => Promise.resolve(shared)};
    await start(twice);
    await start(twice);
  )js")
                .value("error", ""),
            "io.memio.client.Misuse");
}

// What the head of the buffer says is in the page's hands.
TEST_F(Worker, NonsenseInTheMailboxHarmsNobody) {
  auto region = make_region("t/worker");
  ASSERT_TRUE(publish(region, "x"));
  Browser browser(memio_.get());
  prepare(browser);
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/worker', {access: 'write'});
    const shared = await region.shared();
    const head = new Int32Array(shared, 0, 2048);
    let seed = 1;
    for (let round = 0; round < 300; ++round) {
      for (let i = 0; i < 15; ++i) if (i !== 1) head[i] = (seed = Math.imul(seed, 1103515245) + 12345) >> (i % 3 * 14);
      head[5] = round % 9 - 1;
      Atomics.notify(head, 5);
      await null;
      if (round % 10 === 0) await new Promise(resolve => setTimeout(resolve));
    }
    return 1;
  )js"),
            1);
  EXPECT_EQ(browser.run("return region.closed || region.read().length > 0;"), true);
  EXPECT_EQ(browser.terminations(), 0);
  browser.run("region.close();");
  EXPECT_TRUE(publish(region, "y"));
}

}  // namespace

}  // namespace memio::test

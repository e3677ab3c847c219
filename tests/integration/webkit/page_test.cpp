// SPDX-License-Identifier: MIT
// What a page does with regions, beyond reading and writing them.
#include "pages.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

using Page = WebKitTest;

TEST_F(Page, WaitsForRegionsThatAreNotThereYet) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run("await memio.wait('t/late', {timeout: 20});").value("error", ""), "io.memio.client.TimedOut");
  EXPECT_EQ(browser.run("await memio.wait('../x');").value("error", ""), "io.memio.InvalidName");
  const auto waiting = browser.start("const r = await memio.wait('t/late', {access: 'write'}); return r.access;");
  ASSERT_EQ(browser.run("return (await memio.list()).length;"), 0);
  ASSERT_FALSE(waiting->done);
  auto region = make_region("t/late");
  ASSERT_TRUE(run_until([&] { return waiting->done; }));
  EXPECT_EQ(waiting->value, "write");
  EXPECT_EQ(browser.run("return (await memio.wait('t/late')).name;"), "t/late");
}

TEST_F(Page, MayWaitForWhatItMayNotWatch) {
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "https://reader.local", "t/**", MEMIO_WEBKIT_READ, &error));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html("https://reader.local/"));
  const auto waiting = browser.start("return (await memio.wait('t/late')).access;");
  ASSERT_EQ(browser.run("return (await memio.list()).length;"), 0);
  auto region = make_region("t/late");
  ASSERT_TRUE(run_until([&] { return waiting->done; }));
  EXPECT_EQ(waiting->value, "read");
}

TEST_F(Page, WatchesRegionsComeChangeAndGo) {
  auto first = make_region("t/w/first");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.seen = [];
    globalThis.watch = memio.watch('t/w/*', {versions: true});
    globalThis.ended = (async () => {
      for await (const {event, region, version} of watch) {
        seen.push([event, region?.name ?? '', version ?? -1].join(' '));
        if (event === 'ready') globalThis.isReady = true;
      }
      return 'ended';
    })();
    return 1;
  )js"),
            1);
  const auto sees = [&](const std::string& what) {
    return run_until([&] { return browser.run("return seen.includes('" + what + "');") == true; });
  };
  ASSERT_TRUE(sees("ready  -1"));
  EXPECT_TRUE(sees("present t/w/first -1"));
  auto second = make_region("t/w/second");
  auto elsewhere = make_region("t/elsewhere");
  EXPECT_TRUE(sees("created t/w/second -1"));
  ASSERT_TRUE(publish(second, "x", 77));
  EXPECT_TRUE(sees("version t/w/second 77")) << browser.run("return seen;");
  ASSERT_TRUE(client_.remove("t/w/first"));
  EXPECT_TRUE(sees("removed t/w/first -1")) << browser.run("return seen;");
  EXPECT_EQ(browser.run("return seen.some(s => s.includes('elsewhere'));"), false);
  EXPECT_EQ(browser.run("watch.close(); return await ended;"), "ended");
  EXPECT_EQ(browser.run("for await (const e of memio.watch('[')) ;").value("error", ""), "io.memio.InvalidPattern");
  EXPECT_EQ(browser.run("for await (const e of memio.watch(7)) ;").value("error", ""), "io.memio.InvalidPattern");
}

TEST_F(Page, WatchesEndWithTheDocument) {
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, &error));
  Pages pages;  // a name stays with these when they are loaded again
  Browser browser(memio_.get(), pages.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_EQ(browser.run(R"js(
    globalThis.watch = memio.watch();
    addEventListener('pagehide', () => watch.next().then(() => {}, e => { window.name = e.name; }));
    return (await watch.next()).value.event;
  )js"),
            "ready");
  ASSERT_TRUE(browser.reload());
  EXPECT_EQ(browser.run("return window.name;"), "io.memio.client.Disconnected");
}

TEST_F(Page, LoopsThroughPublishes) {
  auto region = make_region("t/loop");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/loop');
    globalThis.seen = [];
    globalThis.ended = (async () => {
      for await (const snapshot of region) seen.push([snapshot.version, new TextDecoder().decode(snapshot.data)]);
      return 'ended';
    })();
    return 1;
  )js"),
            1);
  for (std::uint64_t version = 1; version <= 3; ++version) {
    ASSERT_TRUE(publish(region, "p" + std::to_string(version), version));
    EXPECT_TRUE(run_until([&] { return browser.run("return seen.length;") == version; }));
  }
  EXPECT_EQ(browser.run("return seen;"), Json::parse(R"([[1, "p1"], [2, "p2"], [3, "p3"]])"));
  EXPECT_EQ(browser.run("region.close(); return await ended;"), "ended");
}

TEST_F(Page, ALoopKeepsItsRegionAlive) {
  auto region = make_region("t/kept");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.seen = 0;
    (async () => { for await (const s of await memio.open('t/kept')) seen = s.sequence; })();
    await new Promise(resolve => setTimeout(resolve));
    return seen;
  )js"),
            0);
  ASSERT_TRUE(wait_for_handles("t/kept", 2));
  for (int i = 0; i < 5; ++i) browser.run("for (let i = 0; i < 20; ++i) new Uint8Array(10e6).fill(1);");
  ASSERT_TRUE(publish(region, "x"));
  EXPECT_TRUE(run_until([&] { return browser.run("return seen;") == 1; }));
}

TEST_F(Page, SeesPayloadsAsTheirTypes) {
  auto region = make_region("t/typed", 4096, 4);
  const std::array<float, 3> floats{1.5F, -2.0F, 0.25F};
  ASSERT_TRUE(region.write(std::as_bytes(std::span(floats))));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/typed');
    const first = region.read();
    const same = first.as(Float32Array) === region.as(Float32Array);
    first.release();
    return [same, [...region.as(Float32Array)], first.getFloat32(4), typeof Symbol.dispose === 'undefined' || Symbol.dispose in first];
  )js"),
            Json::parse("[true, [1.5, -2, 0.25], -2, true]"));
  const std::array<float, 1> next{8.0F};
  ASSERT_TRUE(region.write(std::as_bytes(std::span(next))));
  EXPECT_EQ(browser.run("return [...region.as(Float32Array)];"), Json::parse("[8]"));
}

// The nets: whatever nobody holds any more goes back by itself, once the collector has been there.
TEST_F(Page, WhatIsForgottenIsCollected) {
  auto region = make_region("t/forgotten", 16, 2);
  region.set_write_timeout(std::chrono::milliseconds(0));
  ASSERT_TRUE(publish(region, "1"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run("globalThis.region = await memio.open('t/forgotten'); return region.read().length;"), 1);
  ASSERT_TRUE(publish(region, "2"));
  ASSERT_FALSE(publish(region, "3")) << "a snapshot was leased and not released";
  const auto collect = [&] { browser.run("for (let i = 0; i < 20; ++i) new Uint8Array(10e6).fill(1);"); };
  EXPECT_TRUE(run_until([&] {
    collect();
    return publish(region, "3").has_value();
  }));
  ASSERT_EQ(handles("t/forgotten"), 2U);
  ASSERT_EQ(browser.run("globalThis.region = null; return 1;"), 1);
  EXPECT_TRUE(run_until([&] {
    collect();
    return handles("t/forgotten") == 1;
  }));
}

}  // namespace

}  // namespace memio::test

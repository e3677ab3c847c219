// SPDX-License-Identifier: MIT
// Stores into regions that a page may only read: no crash, nobody else sees them, and the next read shows what is true.
#include "webkit_test.h"

namespace memio::test {

namespace {

using Store = WebKitTest;

TEST_F(Store, IsGoneWithTheNextRead) {
  auto region = make_region("t/ro");
  ASSERT_TRUE(publish(region, "true"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/ro');
    globalThis.text = s => { const t = new TextDecoder().decode(s.data.slice()); s.release(); return t; };
    const s = region.read();
    s.data.fill(88);
    const stored = String.fromCharCode(...s.data);
    const next = region.read();
    return [stored, text(next), text(s)];
  )js"),
            Json::parse(R"(["XXXX", "true", "true"])"));
  EXPECT_EQ(text_of(region), "true");
  ASSERT_TRUE(publish(region, "newer"));
  EXPECT_EQ(browser.run("return text(region.read());"), "newer");
  EXPECT_EQ(browser.terminations(), 0);
}

// Headers and other slots are in the page's reach too.
TEST_F(Store, MayGoAnywhereInTheBuffer) {
  auto region = make_region("t/ro", 1 << 20);
  ASSERT_TRUE(publish(region, "true", 5));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/ro');
    const s = region.read();
    const all = new Uint8Array(s.data.buffer);
    all.fill(255);
    const version = region.version;
    all.fill(255);
    const sequence = region.sequence;
    new BigInt64Array(all.buffer, s.data.byteOffset - 64, 8).fill(-1n);
    const t = region.read();
    return [version, sequence, t.version, t.length, t.data[0]];
  )js"),
            Json::array({5, 1, 5, 4, 't'}));
  EXPECT_EQ(text_of(region), "true");
  EXPECT_EQ(browser.terminations(), 0);
}

// The same in code that the optimising compilers have had their way with, plain stores and atomic operations (of which
// even a load is a store to the processor), with publishes coming in between.
TEST_F(Store, IsGoneInHotCodeToo) {
  auto region = make_region("t/hot", 1 << 16);
  ASSERT_TRUE(publish(region, std::string(1 << 16, 'a')));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const auto outcome = browser.start(R"js(
    const region = await memio.open('t/hot');
    const rounds = 3000;  // enough for all compilers; what a store costs depends on how busy the machine is
    let wrong = 0, atomics = 0;
    const once = i => {
      const s = region.read();
      const bytes = s.data;
      const at = (i * 4096 + i) % bytes.length;
      const first = bytes[0];
      if (bytes[at] !== first || first === 120) ++wrong;
      bytes[at] = 120;
      bytes[0] = 120;
      atomics += Atomics.load(s.as(Int32Array), 5) & 1;
      s.release();
    };
    const end = performance.now() + 1500;
    let i = 0;
    while (i < rounds || performance.now() < end) once(i++);
    return {wrong, rounds: i > 0, sequence: region.sequence};
  )js");
  char fill = 'b';
  ASSERT_TRUE(run_until([&] {
    EXPECT_TRUE(publish(region, std::string(1 << 16, fill)));
    fill = fill == 'w' ? 'a' : static_cast<char>(fill + 1);
    return outcome->done;
  }));
  EXPECT_EQ(outcome->value.value("wrong", -1), 0) << outcome->value;
  EXPECT_GT(outcome->value.value("sequence", 0), 5) << outcome->value;
  EXPECT_EQ(browser.terminations(), 0);
}

// What WebKit itself stores for a page, without JavaScript's own stores. Each comes first to memory that is still
// read-only.
TEST_F(Store, MayBeWebKitsOwn) {
  auto region = make_region("t/ro", 65536);
  ASSERT_TRUE(publish(region, std::string(65536, 't')));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const region = await memio.open('t/ro');
    const stores = {
      random: d => crypto.getRandomValues(d),
      encode: d => new TextEncoder().encodeInto('stored', d),
      fill: d => d.fill(1),
      set: d => d.set(new Uint8Array(100)),
      copyWithin: d => d.copyWithin(0, 100),
      sort: d => { d[0] = 255; d.sort(); },
      reverse: d => { d[0] = 255; d.reverse(); },
      view: d => new DataView(d.buffer, d.byteOffset).setFloat64(0, 7),
      atomics: d => Atomics.add(d, 0, 1),
      audio: d => new OfflineAudioContext(1, 100, 44100).createBuffer(1, 100, 44100).copyFromChannel(new Float32Array(d.buffer, d.byteOffset, 100), 0),
      json: d => d.map(() => 1) && d.subarray(0, 8).set([1, 2, 3]),
    };
    const wrong = [];
    for (const [name, store] of Object.entries(stores)) {
      const s = region.read();
      try { store(s.data); } catch (e) { wrong.push(name + ': ' + e); }
      s.release();
      const t = region.read();
      if (!t.data.every(b => b === 116)) wrong.push(name);
      t.release();
    }
    return wrong;
  )js"),
            Json::array());
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Store, LeavesOtherPagesAlone) {
  auto region = make_region("t/two");
  ASSERT_TRUE(publish(region, "true"));
  Browser storing(memio_.get());
  Browser reading(memio_.get());
  ASSERT_TRUE(storing.load_html());
  ASSERT_TRUE(reading.load_html());
  ASSERT_EQ(reading.run("globalThis.s = (await memio.open('t/two')).read(); return s.data[0];"), 't');
  // Twice open in one document: handles do not see each other's stores either.
  EXPECT_EQ(storing.run(R"js(
    const [a, b] = [await memio.open('t/two'), await memio.open('t/two')];
    const s = a.read();
    s.data[0] = 88;
    return [s.data[0], b.read().data[0]];
  )js"),
            Json::array({'X', 't'}));
  EXPECT_EQ(reading.run("return s.data[0];"), 't');
}

// A fault that is not a store of a page's is still WebAssembly's, whose bounds checks are faults.
TEST_F(Store, LeavesOtherFaultsToWebAssembly) {
  auto region = make_region("t/ro");
  ASSERT_TRUE(publish(region, "true"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const s = (await memio.open('t/ro')).read();
    s.data[0] = 88;
    // (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.load)
    const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1,
                                  1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11]);
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    let caught = 0;
    for (let i = 0; i < 2000; ++i) try { f(70000 + i * 1e6); } catch (e) { caught += e instanceof WebAssembly.RuntimeError; }
    return [caught, f(0)];
  )js"),
            Json::array({2000, 0}));
  EXPECT_EQ(browser.terminations(), 0);
}

}  // namespace

}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Pages that mean harm, or are merely wrong: errors, and nobody crashes.
#include "webkit_test.h"

namespace memio::test {

namespace {

class Hostile : public WebKitTest {
 protected:
  Hostile() : region_(make_region("t/h", 4096)) { EXPECT_TRUE(publish(region_, "true")); }

  // The page can still do what it should, and memiod and the region are as they were.
  void expect_well(Browser& browser) {
    EXPECT_EQ(browser.run("const s = (await memio.open('t/h')).read(); const t = s.length; s.release(); return t;"), 4);
    EXPECT_EQ(text_of(region_), "true");
    EXPECT_TRUE(client_.list());
    EXPECT_EQ(browser.terminations(), 0);
  }

  Region region_;
};

// Each method with each kind of value, in all places.
TEST_F(Hostile, WrongTypesAreErrors) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const Json result = browser.run(R"js(
    const throwing = new Proxy({}, {get() { throw new Error('trap'); }, has() { throw new Error('trap'); },
                                    getPrototypeOf() { throw new Error('trap'); }});
    const values = [undefined, null, true, -1, 1.5, NaN, Infinity, 2 ** 53, 2 ** 64, 10n, '', 't/h', 'x'.repeat(70000), '\ud800', '\0',
                    Symbol('s'), {}, [], () => {}, throwing, {valueOf() { throw new Error('valueOf'); }},
                    {toString() { throw new Error('toString'); }}, {then(r) { r(1); }}, new ArrayBuffer(8), new SharedBuffer(),
                    new Uint8Array(3), new Proxy(new Uint8Array(3), {}), Object.create(Uint8Array.prototype), globalThis];
    const outcomes = {};
    const count = name => outcomes[name] = (outcomes[name] ?? 0) + 1;
    const attempt = async call => {
      try {
        let result = await Promise.race([call(), new Promise(resolve => setTimeout(resolve, 300, 'pending'))]);
        if (result?.close) result.close();
        count('fine');
      } catch (e) {
        count(e instanceof memio.MemioError ? e.name : e instanceof Error ? e.constructor.name : 'other');
      }
    };
    const region = await memio.open('t/h', {access: 'write'});
    const snapshot = region.read();
    const memory = new WebAssembly.Memory({initial: 1, maximum: 1});
    for (const v of values) {
      await attempt(() => memio.open(v));
      await attempt(() => memio.open('t/h', v));
      await attempt(() => memio.open('t/h', {access: v}));
      await attempt(() => memio.create(v, v));
      for (const option of ['capacity', 'slots', 'layout', 'lifetime', 'hugePages', 'shrinkAfter'])
        await attempt(() => memio.create('t/none', {capacity: 8, [option]: v}).then(async r => { await memio.remove('t/none'); return r; }));
      await attempt(() => memio.list(v));
      await attempt(() => memio.stat(v));
      await attempt(() => memio.remove(v === 't/h' ? 7 : v));
      await attempt(() => memio.wait(v, {timeout: 0}));
      await attempt(() => memio.wait('t/none', {timeout: typeof v === 'number' ? v : 0, access: v}));
      await attempt(() => memio.watch(v, v));
      for (const method of ['mapInto'])
        for (const args of [[v, 0, region], [memory, v, region], [memory, 0, v]]) await attempt(() => memio[method](...args).unmap());
      await attempt(() => region.begin(v).set([1]) ?? region.abort());
      await attempt(() => region.commit(v));
      await attempt(() => region.commit({version: v}));
      region.abort();
      await attempt(() => region.as(v));
      await attempt(() => snapshot.as(v));
      await attempt(() => snapshot.getUint32(v));
      await attempt(() => region.addEventListener(v, v, v));
      await attempt(() => { region.onchange = v; });
      for (const prototype of [memio.Region.prototype, Object.getPrototypeOf(snapshot)])
        for (const key of Reflect.ownKeys(prototype)) {
          const {get, value} = Object.getOwnPropertyDescriptor(prototype, key);
          await attempt(() => (get ?? value)?.call?.(v));
        }
    }
    return outcomes;
    function SharedBuffer() { return globalThis.SharedArrayBuffer ? new SharedArrayBuffer(8) : null ?? {}; }
  )js");
  ASSERT_FALSE(result.contains("error")) << result;
  EXPECT_GT(result.value("TypeError", 0), 100) << result;
  EXPECT_GT(result.value("io.memio.client.Misuse", 0), 50) << result;
  EXPECT_GT(result.value("io.memio.InvalidName", 0), 20) << result;
  EXPECT_EQ(result.value("other", 0), 0) << result;
  expect_well(browser);
}

TEST_F(Hostile, GettersThatReenterAreErrors) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const region = await memio.open('t/h', {access: 'write'});
    const names = [];
    const attempt = f => { try { f(); names.push('fine'); } catch (e) { names.push(e.name); } };
    // A version that closes, begins or writes while write() looks at it.
    attempt(() => region.write(new Uint8Array(1), {get version() { region.begin(1); return 1; }}));
    region.abort();
    attempt(() => region.write(new Uint8Array(1), {get version() { region.write(new Uint8Array(2)); return 99; }}));
    attempt(() => region.commit({get version() { region.begin(1); return 100; }}));
    // A source that is looked at in the middle of the copy.
    class Source extends Uint8Array { get length() { region.abort(); region.close(); return 2; } }
    attempt(() => region.write(new Source(2)));
    attempt(() => region.read());
    const other = await memio.open('t/h', {get access() { other2 = memio.open('t/h'); return 'read'; }});
    let other2;
    return names;
  )js")
                    .size() > 0,
            true);
  region_ = make_region("t/h2");
  EXPECT_EQ(browser.terminations(), 0);
  EXPECT_TRUE(client_.list());
}

// Everything of the page's that the runtime could stumble over, replaced by what throws or tells.
TEST_F(Hostile, PrototypesThatWereTamperedWithGiveNothingAway) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const Json result = browser.run(R"js(
    const region = await memio.open('t/h');
    region.read().release();
    const leaked = [];
    const note = value => {
      // The control memory would show as a buffer whose first words are memiod's magics.
      const buffer = ArrayBuffer.isView(value) ? value.buffer : value instanceof ArrayBuffer ? value : null;
      if (buffer && new TextDecoder('latin1').decode(new Uint8Array(buffer)).includes('MEMIODIR')) leaked.push('control');
    };
    const saved = [];
    const replace = (object, key, make) => {
      const before = Object.getOwnPropertyDescriptor(object, key);
      if (!before?.configurable) return;
      saved.push([object, key, before]);
      const original = before.value ?? before.get;
      const now = function (...args) { for (const a of [this, ...args]) note(a); return make(original, this, args); };
      Object.defineProperty(object, key, before.get ? {...before, get: now} : {...before, value: now});
    };
    const typed = Object.getPrototypeOf(Uint8Array.prototype);
    const targets = [typed, ArrayBuffer.prototype, DataView.prototype, FinalizationRegistry.prototype, WeakRef.prototype, Atomics];
    let calls = 0;
    for (const lie of [(f, self, args) => Reflect.apply(f, self, args), () => 7, () => undefined, () => { throw new Error('lie'); }]) {
      for (const object of targets)
        for (const key of Reflect.ownKeys(object)) if (key !== 'constructor') replace(object, key, (...a) => (++calls, lie(...a)));
      for (let i = 0; i < 50; ++i)
        try { const s = region.read(); region.version; region.as(Float32Array); s.getUint8(0); s.release(); } catch {}
      while (saved.length) { const [object, key, before] = saved.pop(); Object.defineProperty(object, key, before); }
    }
    return {leaked, calls: calls > 0};
  )js");
  EXPECT_EQ(result, Json::parse(R"({"leaked": [], "calls": true})"));
  expect_well(browser);
}

// The globals too, and Object.prototype, before the page first uses memio.
TEST_F(Hostile, GlobalsThatWereReplacedBreakNothing) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html("https://app.local/", R"html(<!doctype html><script>
    for (const name of ['Atomics', 'Int32Array', 'Uint32Array', 'Uint8Array', 'Float64Array', 'ArrayBuffer', 'DataView', 'WeakRef',
                        'FinalizationRegistry', 'WebAssembly', 'Map', 'Set', 'Symbol', 'Object', 'Reflect'])
      globalThis['saved' + name] = globalThis[name], globalThis[name] = undefined;
    for (const name of ['error', 'message', 'handle', 'data', 'control', 'access', 'version'])
      savedObject.defineProperty(savedObject.prototype, name, {set(v) { throw new Error(name); }, configurable: true});
  </script>)html"));
  EXPECT_EQ(browser.run(R"js(
    const region = await memio.open('t/h');
    const s = region.read();
    let name = '';
    try { await memio.open('t/none'); } catch (e) { name = e.name; }
    return [s.length, s.data[0], region.version, region.sequence, s.as(savedUint8Array).length, name];
  )js"),
            Json::parse(R"([4, 116, 1, 1, 4, "io.memio.NoSuchRegion"])"));
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Hostile, BuffersCannotBeTakenFromUnderARegion) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const region = await memio.open('t/h', {access: 'write'});
    const {buffer} = region.read().data;
    const failures = [];
    const attempt = f => { try { f(); } catch (e) { failures.push(1); } };
    attempt(() => structuredClone(buffer, {transfer: [buffer]}));
    attempt(() => postMessage(buffer, '*', [buffer]));
    attempt(() => new MessageChannel().port1.postMessage(buffer, [buffer]));
    attempt(() => buffer.transfer?.());
    attempt(() => buffer.resize?.(0));
    new Worker(URL.createObjectURL(new Blob(['']))).terminate();
    return [buffer.byteLength > 4 * 4096, region.read().length];
  )js"),
            Json::array({true, 4}));
  // What is written from may be anything.
  EXPECT_EQ(browser.run(R"js(
    const region = await memio.open('t/h', {access: 'write'});
    const names = [];
    const attempt = f => { try { names.push(f()); } catch (e) { names.push(e.name); } };
    const detached = new Uint8Array(8);
    structuredClone(detached.buffer, {transfer: [detached.buffer]});
    attempt(() => region.write(detached) > 1);
    attempt(() => region.write(detached.buffer) > 1);
    const resizable = new ArrayBuffer(8, {maxByteLength: 16});
    const tracking = new Uint8Array(resizable), fixed = new Uint8Array(resizable, 0, 8), view = new DataView(resizable, 0, 8);
    resizable.resize(4);
    attempt(() => region.write(tracking) && region.read().length);
    attempt(() => region.write(fixed) > 1);
    attempt(() => region.write(view) > 1);
    // A region's own memory as the source.
    attempt(() => region.write(region.read().data.buffer) > 1);
    attempt(() => region.write(region.read().data) > 1);
    region.write(new TextEncoder().encode('true'));
    return names.length;
  )js"),
            7);
  expect_well(browser);
}

TEST_F(Hostile, AHundredThousandOpensAreErrorsAtWorst) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  // In flocks, so that limits are met as well; those that are open are closed by the document's end.
  const auto outcome = browser.start(R"js(
    const errors = {};
    let opened = 0;
    for (let flock = 0; flock < 100; ++flock) {
      const settled = await Promise.allSettled(Array.from({length: 1000}, () => memio.open('t/h')));
      for (const {value, reason} of settled) {
        if (value) ++opened, value.close();
        else errors[reason.name] = (errors[reason.name] ?? 0) + 1;
      }
    }
    return {opened, errors};
  )js");
  ASSERT_TRUE(run_until([&] { return outcome->done; }, std::chrono::seconds(120)));
  EXPECT_GT(outcome->value.value("opened", 0), 1000) << outcome->value;
  for (const auto& [name, count] : outcome->value["errors"].items())
    EXPECT_TRUE(name == "io.memio.LimitExceeded" || name == "io.memio.OutOfResources") << name;
  EXPECT_TRUE(wait_for_handles("t/h", 1));
  expect_well(browser);
}

}  // namespace

}  // namespace memio::test

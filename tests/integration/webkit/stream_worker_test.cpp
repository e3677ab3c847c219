// SPDX-License-Identifier: MIT
// Streams of which a Web Worker has one end: memio-client/worker over what stream.shared() gives.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include "pages.h"
#include "stream_test.h"

namespace memio::test {

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// Memory of the web processes' own, in bytes.
std::size_t own_memory() {
  std::size_t kib = 0;
  for (const pid_t pid : Browser::web_processes()) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("RssAnon:")) kib += std::stoul(line.substr(8));
  }
  return kib << 10;
}

class StreamWorker : public StreamTest {
 protected:
  StreamWorker() {
    for (const char* origin : {"https://app.local", "page://host"})
      EXPECT_TRUE(memio_webkit_enable(memio_.get(), origin, "workers", nullptr));
    EXPECT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, nullptr));
  }
  ~StreamWorker() override { g_unsetenv("JSC_useSharedArrayBuffer"); }  // which the library has set

  // Joins the stream in the page, and gives it to a worker. There `run(code)` has it run the body of an async function,
  // in which `stream` is what it has attached, and which has bytesAt().
  static void start(Browser& browser, const std::string& options) {
    std::ifstream file(MEMIO_WORKER_JS);
    std::stringstream source;
    source << file.rdbuf();
    ASSERT_GT(source.str().size(), 100U);
    ASSERT_EQ(join(browser, options), 1);
    ASSERT_EQ(browser.run("const source = " + Json(source.str() + bytes_in_javascript).dump() + R"js( + `
      let stream;
      const nameOf = e => e.name;
      const AsyncFunction = (async () => {}).constructor;
      onmessage = async ({data: {id, buffer, code}}) => {
        try {
          if (buffer) stream = attachStream(buffer);
          const value = code ? await new AsyncFunction('stream', 'attachStream', 'bytesAt', 'nameOf', code)(stream, attachStream, bytesAt, nameOf) : 1;
          postMessage({id, value});
        } catch (e) { postMessage({id, error: e.name, message: e.message}); }
      };`;
      globalThis.worker = new Worker(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})), {type: 'module'});
      const asked = [];
      worker.onmessage = ({data}) => 'error' in data
        ? asked[data.id].reject(Object.assign(new Error(data.message), {name: data.error})) : asked[data.id].resolve(data.value);
      worker.onerror = e => asked.at(-1).reject(new Error(e.message));
      const ask = message => new Promise((resolve, reject) => {
        asked.push({resolve, reject});
        worker.postMessage({id: asked.length - 1, ...message});
      });
      globalThis.run = code => ask({code});
      globalThis.buffer = await stream.shared();
      await ask({buffer});
      return 1;)js"),
              1);
  }
};

// MEMIO_STREAM_MIB: how much. 2048 in the wider set. MEMIO_STREAM_SEED repeats the reader's stalls.
TEST_F(StreamWorker, UploadsWhileThePageGoesOn) {
  const char* wanted = std::getenv("MEMIO_STREAM_MIB");
  const std::uint64_t length = std::strtoull(wanted ? wanted : "128", nullptr, 10) * mib;
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const char* wanted_seed = std::getenv("MEMIO_STREAM_SEED");
  const std::string seed = wanted_seed ? wanted_seed : std::to_string(std::random_device()());
  std::cout << "[          ] the reader stalls at random: MEMIO_STREAM_SEED=" << seed << '\n';
  auto peer = start_peer({"create", "read", "t/s", "stall", seed});
  ASSERT_EQ(peer.line(), "ready");
  start(browser, "{access: 'write'}");
  ASSERT_EQ(browser.run("await run(`await stream.begin(); return 1`); return 1;"), 1);
  const std::size_t before = own_memory();
  const auto upload = browser.start(R"js(
    let last = performance.now(), longest = 0, ticks = 0, going = true, heard = 0;
    stream.onprogress = ({loaded}) => { heard = loaded; };
    const tick = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      ++ticks;
      if (going) setTimeout(tick, 4);
    };
    tick();
    const begun = performance.now();
    await run(`
      for (let n = 0; n < )js" + std::to_string(length / mib) +
                                    R"js(; ++n) {
        const place = await stream.begin();
        place.set(bytesAt(n));
        stream.commit(place.length);
      }
      await stream.finish();`);
    await stream.closed;
    going = false;
    const took = performance.now() - begun;
    return {longest, ticks, took, heard, written: stream.written, taken: stream.taken};)js");
  std::size_t most = before;
  ASSERT_TRUE(run_until(
      [&] {
        most = std::max(most, own_memory());
        return upload->done;
      },
      300s));
  const Json result = upload->value;
  std::cout << "[          ] " << length / mib << " MiB in " << result["took"] << " ms, the page's longest gap "
            << result["longest"] << " ms, " << (most - before) / mib << " MiB more memory\n";
  EXPECT_EQ(result.value("heard", 0U), length) << result;
  EXPECT_EQ(result.value("taken", 0U), length);
  // A page that stood still meanwhile would have had one gap as long as all of it, and hardly a tick.
  EXPECT_LT(result.value("longest", 1e9), std::max(300.0, result.value("took", 0.0) / 4)) << result;
  EXPECT_GE(result.value("ticks", 0.0), std::max(5.0, result.value("took", 0.0) / 100)) << result;
  EXPECT_LT(most - before, 64 * mib);
  EXPECT_EQ(peer.result(), Json({{"bytes", length}, {"sha256", sha256_of_stream(length)}}));
  EXPECT_TRUE(nothing_left());
}

TEST_F(StreamWorker, IsPipedInto) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  start(browser, "{access: 'write', create: {buffers: 2, chunkSize: 10000}}");
  auto peer = start_peer({"open", "read", "t/s"});
  EXPECT_EQ(browser.run(R"js(
    return await run(`
      const blob = new Blob([bytesAt(0), new Uint8Array([1])]);
      await blob.stream().pipeTo(stream.writable);
      await stream.closed;
      return [stream.written, stream.taken, stream.name, stream.buffers, stream.chunkSize];`);)js"),
            Json::array({mib + 1, mib + 1, "t/s", 2, 10000}));
  EXPECT_EQ(browser.run("await stream.closed; return stream.taken;"), mib + 1);
  EXPECT_EQ(peer.line(), "ready");
  EXPECT_EQ(peer.result().value("bytes", 0U), mib + 1);
  EXPECT_TRUE(nothing_left());
}

TEST_F(StreamWorker, Reads) {
  constexpr std::uint64_t length = 9 * mib + 5;
  for (const std::string way :
       {"for await (const {data, offset} of stream) all.set(data, offset);",
        "let at = 0; const from = stream.readable.getReader(); for (;;) { const {done, value} = await "
        "from.read(); if (done) break; all.set(value, at); at += value.length; }"}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer = start_peer({"create", "write", "t/s", std::to_string(length)});
    ASSERT_EQ(peer.line(), "ready");
    start(browser, "{}");
    EXPECT_EQ(browser.run("return await run(`const all = new Uint8Array(9 * 2 ** 20 + 5); " + way + R"js(
        return [...new Uint8Array(await crypto.subtle.digest('SHA-256', all))].map(b => b.toString(16).padStart(2, '0')).join('');`);)js"),
              sha256_of_stream(length));
    EXPECT_EQ(peer.result(), Json({{"bytes", length}, {"sha256", sha256_of_stream(length)}}));
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(StreamWorker, MayStoreIntoChunks) {
  constexpr std::uint64_t length = 12 * mib;
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  auto peer = start_peer({"create", "write", "t/s", std::to_string(length)});
  ASSERT_EQ(peer.line(), "ready");
  start(browser, "{}");
  EXPECT_EQ(browser.run(R"js(
    return await run(`
      let wrong = 0;
      for await (const {data, offset} of stream) {
        const expected = bytesAt(offset / 2 ** 20);
        for (let i = 0; i < data.length; i += 997) wrong += data[i] !== expected[i];
        data.fill(1);
      }
      return wrong;`);)js"),
            0);
  EXPECT_EQ(peer.result().value("error", ""), "");
}

TEST_F(StreamWorker, ItsPageCanGiveUp) {
  for (const bool terminated : {false, true}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer = start_peer({"create", "read", "t/s"});
    ASSERT_EQ(peer.line(), "ready");
    start(browser, "{access: 'write'}");
    ASSERT_EQ(browser.run("await run('await stream.write(new Uint8Array(10));'); return stream.written;"), 10);
    EXPECT_EQ(browser.run(terminated ? "worker.terminate(); stream.abort('no longer'); return 1;" : R"js(
      const going = run('for (;;) await stream.write(new Uint8Array(1000));').catch(nameOf);
      stream.abort('no longer');
      return await going;)js"),
              terminated ? Json(1) : Json("io.memio.client.Aborted"));
    const Json result = peer.result();
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Aborted") << result;
    EXPECT_NE(result.value("message", "").find("no longer"), std::string::npos) << result;
    EXPECT_EQ(browser.run("return await stream.closed.catch(nameOf);"), "io.memio.client.Aborted");
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(StreamWorker, LearnsThatTheOtherSideIsGone) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  auto peer = start_peer({"create", "read", "t/s", "1"});
  ASSERT_EQ(peer.line(), "ready");
  start(browser, "{access: 'write'}");
  ASSERT_EQ(
      browser.run("globalThis.over = run('await stream.write(new Uint8Array(2 ** 23))').catch(nameOf); return 1;"), 1);
  ASSERT_EQ(peer.line(), "stopped");
  peer.kill();
  EXPECT_EQ(browser.run("return [await over, await stream.closed.catch(nameOf)];"),
            Json::parse(R"(["io.memio.client.PeerGone", "io.memio.client.PeerGone"])"));
  EXPECT_TRUE(nothing_left());
}

TEST_F(StreamWorker, EndsWithItsDocument) {
  Pages pages;
  Browser browser(memio_.get(), pages.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  auto peer = start_peer({"create", "read", "t/s"});
  ASSERT_EQ(peer.line(), "ready");
  start(browser, "{access: 'write'}");
  ASSERT_EQ(browser.run("await run('await stream.write(new Uint8Array(10));'); return 1;"), 1);
  ASSERT_TRUE(browser.reload());
  EXPECT_EQ(peer.result().value("error", ""), "io.memio.client.Aborted");
  EXPECT_TRUE(nothing_left());
}

TEST_F(StreamWorker, WhatCannotBe) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  start(browser, "{access: 'write', create: true}");
  for (const auto& [code, error] : std::vector<std::pair<std::string, std::string>>{
           {"await stream.shared();", "io.memio.client.Misuse"},
           {"await stream.write(new Uint8Array(1));", "io.memio.client.Misuse"},
           {"stream.writable;", "io.memio.client.Misuse"},
           {"const other = await memio.stream('t/o', {create: true}); other.readable; await other.shared();",
            "io.memio.client.Misuse"},
           {"await run('attachStream(new SharedArrayBuffer(9000))');", "io.memio.client.Misuse"},
           {"await run('attachStream(new ArrayBuffer(9000))');", "io.memio.client.Misuse"},
           {"await run('await stream.shared()');", "io.memio.client.Misuse"}})
    EXPECT_EQ(browser.run(code).value("error", ""), error) << code;
}

// What the head of the buffer says is in the page's hands.
TEST_F(StreamWorker, NonsenseInTheMailboxHarmsNobody) {
  for (const bool writes : {true, false}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer = start_peer(writes ? std::vector<std::string>{"create", "read", "t/s"}
                                  : std::vector<std::string>{"create", "write", "t/s", "99000000"});
    ASSERT_EQ(peer.line(), "ready");
    start(browser, writes ? "{access: 'write'}" : "{}");
    EXPECT_EQ(browser.run(R"js(
      const acting = run(stream.abort ? 'for (;;) await stream.write(new Uint8Array(3000))' : 'for await (const chunk of stream);');
      acting.catch(() => {});
      const head = new Int32Array(buffer, 0, 2048);
      let seed = 1;
      const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) | 0) >>> 8;
      for (let round = 0; round < 200; ++round) {
        head[2 + random() % 10] = random() % 2 ? random() % 9 : random() << 8;
        Atomics.notify(head, 4);
        Atomics.notify(head, 5);
        await new Promise(resolve => setTimeout(resolve));
      }
      head[1] = 1;
      return 1;)js"),
              1);
    EXPECT_EQ(
        browser.run(
            "stream.abort ? stream.abort() : stream.cancel(); return await stream.closed.then(() => 1, () => 1);"),
        1);
    EXPECT_EQ(browser.terminations(), 0);
    EXPECT_TRUE(nothing_left());
  }
}

}  // namespace

}  // namespace memio::test

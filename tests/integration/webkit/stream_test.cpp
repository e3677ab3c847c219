// SPDX-License-Identifier: MIT
// Streams between pages and native programs, and however one of them ends.
#include <signal.h>
#include <sys/mman.h>

#include <map>

#include "pages.h"
#include "stream_test.h"

namespace memio::test {

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

using Streams = StreamTest;

TEST_F(Streams, APageWritesToANativeProgram) {
  constexpr std::uint64_t length = 20 * mib + 12345;
  for (const bool page_makes : {false, true}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    ASSERT_TRUE(!page_makes || join(browser, "{access: 'write', create: {totalLength: 20 * 2 ** 20 + 12345}}") == 1);
    auto peer = start_peer({page_makes ? "open" : "create", "read", "t/s"});
    ASSERT_EQ(peer.line(), "ready");
    ASSERT_TRUE(page_makes || join(browser, "{access: 'write'}") == 1);
    EXPECT_EQ(browser.run("await new Blob([all(" + std::to_string(length) + R"js()]).stream().pipeTo(stream.writable);
      await stream.closed;
      return [stream.written, stream.taken, stream.chunkSize, stream.totalLength ?? 0];)js"),
              Json::array({length, length, mib, page_makes ? length : 0}));
    EXPECT_EQ(peer.result(), Json({{"bytes", length}, {"sha256", sha256_of_stream(length)}}));
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(Streams, ANativeProgramWritesToAPage) {
  constexpr std::uint64_t length = 20 * mib + 12345;
  for (const std::string way : {"readable", "in place"}) {
    const bool page_makes = way == "in place";
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    ASSERT_TRUE(!page_makes || join(browser, "{create: true}") == 1);
    auto peer = start_peer({page_makes ? "open" : "create", "write", "t/s", std::to_string(length)});
    ASSERT_EQ(peer.line(), "ready");
    ASSERT_TRUE(page_makes || join(browser, "{}") == 1);
    EXPECT_EQ(browser.run(way == "readable" ? R"js(
      const bytes = await new Response(stream.readable).bytes();
      return [bytes.length, stream.taken, stream.totalLength ?? 0, await hex(bytes)];)js"
                                            : R"js(
      const bytes = new Uint8Array(21 * 2 ** 20);
      const offsets = [];
      let last = 0;
      for await (const chunk of stream) { bytes.set(chunk.data, chunk.offset); offsets.push(chunk.offset); last += chunk.last; }
      if (offsets.some((offset, i) => offset !== i * 2 ** 20)) return offsets;
      return [stream.written, stream.taken, stream.totalLength ?? 0, await hex(bytes.subarray(0, stream.taken))];)js"),
              Json::array({length, length, page_makes ? 0 : length, sha256_of_stream(length)}));
    EXPECT_EQ(peer.result(), Json({{"bytes", length}, {"sha256", sha256_of_stream(length)}}));
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(Streams, WhatIsFetchedCanBePiped) {
  Pages pages;
  const std::string body = std::string(300'000, 'x') + "end";
  pages.set("host/body", body);
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, &error));
  Browser browser(memio_.get(), pages.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  auto peer = start_peer({"create", "read", "t/s"});
  ASSERT_EQ(peer.line(), "ready");
  ASSERT_EQ(join(browser, "{access: 'write'}"), 1);
  EXPECT_EQ(browser.run("await (await fetch('page://host/body')).body.pipeTo(stream.writable); return stream.taken;"),
            body.size());
  Sha256 sha;
  sha.add(std::as_bytes(std::span(body)));
  EXPECT_EQ(peer.result(), Json({{"bytes", body.size()}, {"sha256", sha.hex()}}));
}

// A reader that stands still fills the ring, and no more than the ring.
TEST_F(Streams, TheReaderSetsThePace) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  auto peer = start_peer({"create", "read", "t/s", "1"});
  ASSERT_EQ(peer.line(), "ready");
  ASSERT_EQ(join(browser, "{access: 'write'}"), 1);
  ASSERT_EQ(browser.run(R"js(
    globalThis.failed = stream.write(all(20 * 2 ** 20)).catch(nameOf);
    return 1;)js"),
            1);
  ASSERT_EQ(peer.line(), "stopped");
  EXPECT_TRUE(run_until([&] { return browser.run("return stream.written;") == 4 * mib; }))
      << "the chunk that the reader keeps is one of the four";
  peer.kill();
  EXPECT_EQ(browser.run("return await failed;"), "io.memio.client.PeerGone");
  EXPECT_EQ(browser.run("return await stream.closed.catch(nameOf);"), "io.memio.client.PeerGone");
}

TEST_F(Streams, ANativeProgramThatGivesUpSaysWhy) {
  for (const bool reads : {true, false}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer =
        start_peer(reads ? std::vector<std::string>{"create", "read", "t/s", "give-up", "1"}
                         : std::vector<std::string>{"create", "write", "t/s", "99000000", "give-up", "9000000"});
    ASSERT_EQ(peer.line(), "ready");
    ASSERT_EQ(join(browser, reads ? "{access: 'write'}" : "{}"), 1);
    const Json result =
        browser.run(reads ? "await stream.write(all(20 * 2 ** 20));" : "for await (const chunk of stream);");
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Aborted") << result;
    EXPECT_NE(result.value("message", "").find("enough"), std::string::npos) << result;
  }
}

TEST_F(Streams, APageThatGivesUpSaysWhy) {
  for (const bool reads : {true, false}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer = start_peer(reads ? std::vector<std::string>{"create", "read", "t/s"}
                                 : std::vector<std::string>{"create", "write", "t/s", "99000000"});
    ASSERT_EQ(peer.line(), "ready");
    ASSERT_EQ(join(browser, reads ? "{access: 'write'}" : "{}"), 1);
    EXPECT_EQ(browser.run(reads ? R"js(
      const to = stream.writable.getWriter();
      await to.write(new Uint8Array(10));
      await to.abort('changed my mind');
      return stream.written;)js"
                                : "for await (const chunk of stream) break; return stream.taken;"),
              reads ? 10 : mib);
    const Json result = peer.result();
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Aborted") << result;
    EXPECT_NE(result.value("message", "").find(reads ? "changed my mind" : "the loop over it was left"),
              std::string::npos)
        << result;
  }
}

TEST_F(Streams, APageGivesUpThoughTheReaderTakesNothing) {
  for (const std::string way :
       {"const to = stream.writable.getWriter(); const acted = to.write(all(20 * 2 ** 20)); acted.catch(() => {});"
        "await full(); await to.abort('changed my mind'); return await acted.catch(e => e.name);",
        "const {signal} = controller; signal.onabort = () => stream.abort(signal.reason);"
        "const acted = new Blob([all(20 * 2 ** 20)]).stream().pipeTo(stream.writable, {signal}); acted.catch(() => {});"
        "await full(); controller.abort(new Error('changed my mind'));"
        "await acted.catch(() => {}); return await stream.closed.catch(e => e.name);"}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer = start_peer({"create", "read", "t/s"});
    ASSERT_EQ(peer.line(), "ready");
    ASSERT_EQ(::kill(peer.pid(), SIGSTOP), 0);
    ASSERT_EQ(join(browser, "{access: 'write'}"), 1);
    EXPECT_EQ(browser.run(R"js(
      const controller = new AbortController();
      const full = async () => {
        while (stream.written < stream.buffers * stream.chunkSize) await new Promise(resolve => setTimeout(resolve));
      };)js" + way),
              "io.memio.client.Aborted")
        << way;
    ASSERT_EQ(::kill(peer.pid(), SIGCONT), 0);
    const Json result = peer.result();
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Aborted") << result;
    EXPECT_NE(result.value("message", "").find("changed my mind"), std::string::npos) << result;
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(Streams, ANativeProgramLearnsThatTheDocumentHasGone) {
  Pages pages;
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, &error));
  for (const bool reads : {true, false}) {
    for (const std::string end : {"reload", "crash"}) {
      Browser browser(memio_.get(), pages.serve());
      ASSERT_TRUE(browser.load_uri("page://host/a"));
      auto peer = start_peer(reads ? std::vector<std::string>{"create", "read", "t/s"}
                                   : std::vector<std::string>{"create", "write", "t/s", "99000000"});
      ASSERT_EQ(peer.line(), "ready");
      ASSERT_EQ(join(browser, reads ? "{access: 'write'}" : "{}"), 1);
      ASSERT_EQ(browser.run(reads ? "await stream.write(new Uint8Array(10)); return 1;"
                                  : "globalThis.kept = await stream.next(); return kept.offset + 1;"),
                1);
      if (end == "reload") {
        ASSERT_TRUE(browser.reload());
      } else {
        ++expected_terminations_;
        for (const pid_t pid : Browser::web_processes()) ::kill(pid, SIGKILL);
      }
      const Json result = peer.result();
      // memiod may hear of it before WebKit does.
      EXPECT_TRUE(
          run_until([&] { return Browser::all_terminations() - terminations_before_ == expected_terminations_; }, 20s));
      EXPECT_EQ(result.value("error", ""), end == "reload" ? "io.memio.client.Aborted" : "io.memio.client.PeerGone")
          << result;
      EXPECT_TRUE(end == "crash" || result.value("message", "").find("document was left") != std::string::npos)
          << result;
    }
  }
}

TEST_F(Streams, APageLearnsThatANativeProgramHasDied) {
  for (const bool reads : {true, false}) {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    auto peer = start_peer(reads ? std::vector<std::string>{"create", "read", "t/s", "1"}
                                 : std::vector<std::string>{"create", "write", "t/s", "99000000", "1"});
    ASSERT_EQ(peer.line(), "ready");
    ASSERT_EQ(join(browser, reads ? "{access: 'write'}" : "{}"), 1);
    ASSERT_EQ(browser.run(reads ? "await stream.write(new Uint8Array(1)); return 1;"
                                : "return (await stream.next()).offset + 1;"),
              1);
    ASSERT_EQ(peer.line(), "stopped");
    // In the one it waits already, in the other nothing is going on.
    ASSERT_EQ(browser.run(reads ? "globalThis.over = stream.closed.catch(nameOf); return 1;"
                                : "globalThis.over = stream.next().catch(nameOf); return 1;"),
              1);
    peer.kill();
    EXPECT_EQ(browser.run("return await over;"), "io.memio.client.PeerGone");
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(Streams, ComeBackNeverButLeaveNothing) {
  Pages pages;
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, &error));
  Browser browser(memio_.get(), pages.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_EQ(join(browser, "{access: 'write', create: true}"), 1);
  ASSERT_EQ(browser.run("globalThis.over = stream.closed.catch(nameOf); return 1;"), 1);
  ASSERT_TRUE(browser.load_uri("page://host/b"));
  EXPECT_TRUE(nothing_left());
  ASSERT_TRUE(browser.go_back());
  EXPECT_EQ(browser.run("return await over;"), "io.memio.client.Disconnected");
  EXPECT_EQ(join(browser, "{access: 'write', create: true}"), 1) << "and can be made again";
}

TEST_F(Streams, WhatCannotBe) {
  auto own = make_region("t/own__ctrl", 4096, 1);
  ASSERT_TRUE(publish(own, std::string(4000, 'x')));
  auto odd = make_region("t/odd__ctrl", 4096);
  auto peer = start_peer({"create", "read", "t/s"});
  ASSERT_EQ(peer.line(), "ready");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(join(browser, "{access: 'write'}"), 1);
  for (const auto& [code, error] : std::vector<std::pair<std::string, std::string>>{
           {"memio.stream('t/none')", "io.memio.NoSuchRegion"},
           {"memio.stream('t/none', {timeout: 20})", "io.memio.client.TimedOut"},
           {"memio.stream('t/own')", "io.memio.client.Corrupt"},
           {"memio.stream('t/odd')", "io.memio.client.Corrupt"},
           {"memio.stream('t/s')", "io.memio.client.Busy"},
           {"memio.stream('t/s', {access: 'write'})", "io.memio.client.Busy"},
           {"memio.stream('t/s', {access: 'write', create: true})", "io.memio.RegionExists"},
           {"memio.stream('t/n', {create: {buffers: 3}})", "io.memio.client.Misuse"},
           {"memio.stream('t/n', {access: 'both'})", "io.memio.client.Misuse"},
           {"memio.stream('../n')", "io.memio.InvalidName"},
           {"memio.stream('u/n', {create: true})", "io.memio.PermissionDenied"},
           {"stream.shared()", "io.memio.PermissionDenied"}})
    EXPECT_EQ(browser.run("await " + code + ";").value("error", ""), error) << code;
  EXPECT_EQ(browser.run(R"js(
    const late = memio.stream('t/late', {timeout: 20000});
    const made = await memio.stream('t/late', {access: 'write', create: {buffers: 1, chunkSize: 3}});
    void made.write(new Uint8Array([1, 2, 3, 4])).then(() => made.finish());
    const sizes = [];
    for await (const {length} of await late) sizes.push(length);
    await made.closed;
    await stream.finish();
    return sizes;)js"),
            Json::array({3, 1}));
  EXPECT_EQ(peer.result().value("bytes", 1), 0);
}

// Whatever a program that has the ring open for writing puts there: the page gets an error, or nothing, and lives.
TEST_F(Streams, LiesInTheRingHarmNobody) {
  constexpr std::size_t payload_offset = 64;
  constexpr std::size_t ring_words = (128 + 64 + 512) / 4;  // of four buffers
  std::uint32_t seed = 1;
  const auto random = [&seed] { return (seed = seed * 1103515245 + 12345) >> 8; };
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  std::map<std::string, int> outcomes;
  for (int round = 0; round < 60; ++round) {
    const bool reads = round % 2 == 0;
    ASSERT_EQ(join(browser, reads ? "{create: {chunkSize: 64}}" : "{access: 'write', create: {chunkSize: 64}}"), 1);
    auto ring = client_.open("t/s__ctrl", Access::write);
    ASSERT_TRUE(ring) << ring.error().text();
    void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring->file_descriptor(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto* words = static_cast<std::uint32_t*>(memory) + payload_offset / 4;
    words[1] = reads ? 1 : 0;  // there is something to read
    for (int i = 0; i < 3; ++i) {
      const auto index = i == 0 ? random() % 10 : random() % ring_words;
      words[index] = random() % 2 ? random() % 6 : random() << 9;
    }
    ::munmap(memory, 4096);
    const Json outcome = browser.run(std::string("const acting = ") +
                                     (reads ? "stream.next()" : "stream.write(new Uint8Array(300))") + R"js(;
      const outcome = await Promise.race([acting.then(() => 'fine', nameOf), new Promise(resolve => setTimeout(resolve, 5, 'waits'))]);
      if (stream.cancel) stream.cancel(); else stream.abort();
      return outcome;)js");
    ASSERT_TRUE(outcome.is_string()) << outcome;
    ++outcomes[outcome];
    ASSERT_TRUE(nothing_left());
  }
  EXPECT_GT(outcomes["io.memio.client.Corrupt"], 10);
  for (const std::string possible :
       {"io.memio.client.Corrupt", "io.memio.client.Aborted", "io.memio.client.PeerGone", "waits", "fine"})
    outcomes.erase(possible);
  EXPECT_TRUE(outcomes.empty()) << outcomes.begin()->first;
}

}  // namespace

}  // namespace memio::test

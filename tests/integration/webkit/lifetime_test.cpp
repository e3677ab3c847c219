// SPDX-License-Identifier: MIT
// However a document ends, its handles end.
#include <signal.h>

#include <algorithm>

#include "pages.h"
#include "support/fd_leak_check.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

class Lifetime : public WebKitTest {
 protected:
  void SetUp() override {
    GError* error = nullptr;
    ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://host", "t/**", MEMIO_WEBKIT_ALL, &error));
  }
  // A page that has the region open twice and holds a lease. The native handle is the third.
  bool open_in(Browser& browser) {
    return browser.run(
               "globalThis.a = await memio.open('t/life'); globalThis.b = await memio.open('t/life', {access: "
               "'write'});"
               "globalThis.kept = a.read(); return kept.length;") == 1 &&
           handles("t/life") == 3;
  }
  Pages pages_;
  Region region_ = [this] {
    auto region = make_region("t/life");
    EXPECT_TRUE(publish(region, "x"));
    return region;
  }();
};

TEST_F(Lifetime, ReloadFreesTheHandles) {
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_TRUE(open_in(browser));
  ASSERT_TRUE(browser.reload());
  EXPECT_TRUE(wait_for_handles("t/life", 1));
  EXPECT_TRUE(open_in(browser)) << "the new document can open it again";
}

TEST_F(Lifetime, APageThatIsGoneBackToIsAttachedAgain) {
  auto removed = make_region("t/removed");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_TRUE(open_in(browser));
  ASSERT_EQ(browser.run(R"js(
    const text = s => new TextDecoder().decode(s.data.slice());
    globalThis.seen = [];
    globalThis.events = [];
    globalThis.removed = await memio.open('t/removed');
    globalThis.own = await memio.create('t/own', {capacity: 8});
    a.addEventListener('change', () => { const s = a.read(); seen.push('event ' + text(s)); s.release(); });
    (async () => { for await (const s of b) seen.push('loop ' + text(s)); seen.push('ended'); })();
    (async () => { for await (const e of memio.watch('t/life')) events.push(e.event); })();
    globalThis.hidden = [];
    addEventListener('pagehide', () => { try { a.read(); } catch (e) { hidden.push(e.name); } hidden.push(a.closed); });
    globalThis.back = new Promise(resolve => memio.addEventListener('reconnected', resolve, {once: true}));
    return 1;
  )js"),
            1);
  ASSERT_TRUE(run_until([&] { return browser.run("return seen.length + events.length;") == 3; }));
  ASSERT_TRUE(browser.load_uri("page://host/b"));
  EXPECT_TRUE(wait_for_handles("t/life", 1)) << "a page that is not shown holds nothing";
  ASSERT_TRUE(publish(region_, "while it was away"));
  ASSERT_TRUE(client_.remove("t/removed"));
  ASSERT_TRUE(browser.go_back());
  ASSERT_EQ(browser.run("return typeof back;"), "object") << "WebKit has loaded it again instead of keeping it";
  EXPECT_EQ(browser.run("await back; return [a.closed, b.closed, removed.closed, own.closed, ...hidden];"),
            Json::parse(R"([false, false, true, true, "io.memio.client.Disconnected", false])"));
  EXPECT_TRUE(wait_for_handles("t/life", 3));
  ASSERT_TRUE(run_until([&] { return browser.run("return seen.length;") == 3; })) << browser.run("return seen;");
  ASSERT_TRUE(publish(region_, "and after"));
  ASSERT_TRUE(run_until([&] { return browser.run("return seen.length;") == 5; })) << browser.run("return seen;");
  EXPECT_EQ(browser.run("return seen.sort();"), Json::parse(R"(["event and after", "event while it was away",
                            "loop and after", "loop while it was away", "loop x"])"));
  EXPECT_EQ(browser.run("return events;"), Json::parse(R"(["present", "ready", "present", "ready"])"));
  // A snapshot from before shows nothing, and its end frees no slot of anybody's.
  EXPECT_EQ(browser.run("const s = a.read(); const first = kept.data[0]; kept.release();"
                        "return [first, new TextDecoder().decode(s.data.slice())];"),
            Json::parse(R"([0, "and after"])"));
}

TEST_F(Lifetime, NavigationFreesTheHandles) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_TRUE(open_in(browser));
  ASSERT_TRUE(browser.load_html("https://other.local/"));
  EXPECT_TRUE(wait_for_handles("t/life", 1));
}

TEST_F(Lifetime, ClosingFreesTheHandle) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_TRUE(open_in(browser));
  ASSERT_EQ(browser.run("globalThis.old = kept.data; a.close(); return old[0];"), 0) << "zeros take the memory's place";
  EXPECT_TRUE(wait_for_handles("t/life", 2));
}

TEST_F(Lifetime, ClosingTheViewFreesTheHandles) {
  {
    Browser browser(memio_.get());
    ASSERT_TRUE(browser.load_html());
    ASSERT_TRUE(open_in(browser));
  }
  EXPECT_TRUE(wait_for_handles("t/life", 1));
}

TEST_F(Lifetime, NothingIsMappedAnyMoreWhenTheNextDocumentIsThere) {
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_TRUE(open_in(browser));
  EXPECT_GT(Browser::memio_mappings(), 0U);
  ASSERT_TRUE(browser.reload());
  EXPECT_EQ(Browser::memio_mappings(), 0U);
  ASSERT_TRUE(open_in(browser));
  ASSERT_TRUE(browser.load_uri("page://host/b"));
  EXPECT_EQ(Browser::memio_mappings(), 0U);
}

TEST_F(Lifetime, AnotherSiteIsAttachedInItsOwnProcess) {
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "site://elsewhere", "t/**", MEMIO_WEBKIT_ALL, &error));
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_TRUE(open_in(browser));
  const auto before = Browser::web_processes();
  for (const char* uri : {"site://elsewhere/a", "page://host/a", "site://elsewhere/b"}) {
    ASSERT_TRUE(browser.load_uri(uri));
    EXPECT_TRUE(wait_for_handles("t/life", 1)) << "the last page's are closed";
    EXPECT_TRUE(open_in(browser)) << uri;
  }
#ifdef MEMIO_WEBKIT_6
  const auto after = Browser::web_processes();
  EXPECT_FALSE(std::ranges::includes(before, after))
      << "6.0 swaps processes, if not between hosts of one custom scheme";
#endif
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Lifetime, WhatIsOpenIsClaimedAgainWhenMemiodComesBack) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_TRUE(open_in(browser));
  ASSERT_EQ(browser.run(R"js(
    globalThis.heard = [];
    const hear = type => new Promise(resolve => memio.addEventListener(type, () => { heard.push(type); resolve(); }));
    globalThis.gone = hear('disconnected');
    globalThis.back = hear('reconnected');
    globalThis.changed = new Promise(resolve => a.addEventListener('change', () => { if (a.sequence > 1) resolve(); }));
    return memio instanceof EventTarget;
  )js"),
            true);
  daemon_.kill();
  EXPECT_EQ(browser.run("await gone; return new TextDecoder().decode(a.read().data.slice());"), "x");
  daemon_.start();
  EXPECT_EQ(browser.run("await back; return heard;"), Json::parse(R"(["disconnected", "reconnected"])"));
  EXPECT_TRUE(wait_for_handles("t/life", 3)) << "both handles of the page, and this program's";
  ASSERT_TRUE(publish(region_, "new"));
  EXPECT_EQ(browser.run("await changed; const s = a.read(); const t = new TextDecoder().decode(s.data.slice());"
                        "s.release(); return t;"),
            "new");
  EXPECT_EQ(browser.run("b.write(new Uint8Array([7])); return (await memio.open('t/life')).read().data[0];"), 7);
  // The lease that was held all the time is still one: the bytes of the first publish stay.
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(publish(region_, "y"));
  EXPECT_EQ(browser.run("return new TextDecoder().decode(kept.data.slice());"), "x");
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Lifetime, ACrashOfTheWebProcessFreesTheHandles) {
  expected_terminations_ = 1;
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_TRUE(open_in(browser));
  const auto processes = Browser::web_processes();
  ASSERT_FALSE(processes.empty());
  for (const pid_t pid : processes) ::kill(pid, SIGKILL);
  EXPECT_TRUE(run_until([&] { return browser.terminations() == 1; }));
  EXPECT_TRUE(wait_for_handles("t/life", 1));
  ASSERT_TRUE(browser.load_html());
  EXPECT_TRUE(open_in(browser)) << "the new process is attached again";
}

TEST_F(Lifetime, ManyDocumentsLeaveNoDescriptorsHere) {
  Browser browser(memio_.get());
  const auto round = [&] {
    ASSERT_TRUE(browser.load_html());
    ASSERT_TRUE(open_in(browser));
  };
  for (int i = 0; i < 3; ++i) round();
  const auto before = open_fds().size();
  const auto daemon_before = daemon_.open_fds();
  for (int i = 0; i < 20; ++i) {
    round();
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(run_until([&] { return open_fds().size() <= before; }))
      << open_fds().size() << " after, " << before << " before";
  EXPECT_TRUE(run_until([&] { return daemon_.open_fds() <= daemon_before; }));
}

}  // namespace

}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Frames inside pages: which of them have memio, what it may do, and what is left when they go.
#include "pages.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

class FramesInside : public WebKitTest {
 protected:
  void SetUp() override {
    allow(memio_webkit_allow(memio_.get(), "page://app", "t/**", MEMIO_WEBKIT_ALL, &error_));
    allow_inside("page://app", "page://widget", "t/widget");
    allow_inside("page://app", "page://app", "t/**");
    ASSERT_TRUE(publish(widget_, "for the widget"));
  }
  void allow(gboolean allowed) { ASSERT_TRUE(allowed) << error_->message; }
  void allow_inside(const char* within, const char* origins, const char* names) {
    allow(memio_webkit_allow_inside(memio_.get(), within, origins, names, MEMIO_WEBKIT_READ, &error_));
  }

  GError* error_ = nullptr;
  Pages pages_;
  Region widget_ = make_region("t/widget");
  Region secret_ = make_region("t/secret");
};

constexpr const char* has_memio = "return typeof memio";

TEST_F(FramesInside, HaveWhatTheirOwnRulesGrantAndNotThePages) {
  pages_.set_frames("app/", "<iframe id=w src='page://widget/'></iframe><iframe id=o src='page://other/'></iframe>");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://app/"));
  EXPECT_EQ(browser.run(ask("o", has_memio)), "undefined");
  EXPECT_EQ(
      browser.run(ask("w", "return new TextDecoder().decode((await memio.open('t/widget')).read().data.slice())")),
      "for the widget");
  EXPECT_EQ(browser.run(ask("w", "await memio.open('t/secret')")).value("error", ""), "io.memio.NoSuchRegion");
  EXPECT_EQ(browser.run(ask("w", "await memio.open('t/widget', {access: 'write'})")).value("error", ""),
            "io.memio.PermissionDenied");
  EXPECT_EQ(browser.run(ask("w", "return (await memio.list()).map(r => r.name)")), Json::parse(R"(["t/widget"])"));
  EXPECT_EQ(browser.run("return (await memio.list()).length"), 2) << "the page itself has its own";
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(FramesInside, OfTheSameOriginHaveASessionOfTheirOwn) {
  pages_.set_frames("app/", "<iframe id=f src='page://app/inner'></iframe>");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://app/"));
  EXPECT_EQ(browser.run("const r = await memio.open('t/secret', {access: 'write'}); return r.access;"), "write");
  EXPECT_EQ(browser.run(ask("f", "await memio.open('t/secret', {access: 'write'})")).value("error", ""),
            "io.memio.PermissionDenied")
      << "inside, the rule only reads";
  EXPECT_EQ(browser.run("return f.contentWindow.memio !== memio;"), true);
}

TEST_F(FramesInside, CountOnlyWithinThePagesOfTheirRule) {
  pages_.set_frames("other/", "<iframe id=w src='page://widget/'></iframe>");
  pages_.set_frames("app/", "<iframe id=o src='page://other/'></iframe>");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://widget/"));
  EXPECT_EQ(browser.run(has_memio), "undefined") << "as a main frame";
  ASSERT_TRUE(browser.load_uri("page://other/"));
  EXPECT_EQ(browser.run(ask("w", has_memio)), "undefined") << "in a page that the rule does not name";
  ASSERT_TRUE(browser.load_uri("page://app/"));
  EXPECT_EQ(browser.run(ask("o", "return await ask(w, 'return typeof memio')")), "undefined")
      << "in a strange frame of a page that it does name";
}

TEST_F(FramesInside, WithoutAnOriginOfTheirOwnHaveNone) {
  pages_.set_frames("app/", R"html(
    <iframe id=sandboxed sandbox=allow-scripts src='page://widget/'></iframe>
    <iframe id=data src="data:text/html,<script>onmessage = e => e.ports[0].postMessage({value: typeof memio})</script>"></iframe>
    <iframe id=srcdoc srcdoc='<p>x'></iframe>
    <iframe id=blank></iframe>)html");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://app/"));
  EXPECT_EQ(browser.run(ask("sandboxed", "return [typeof memio, self.origin]")),
            Json::parse(R"(["undefined", "null"])"));
  EXPECT_EQ(browser.run(ask("data", has_memio)), "undefined");
  EXPECT_EQ(browser.run("return [typeof srcdoc.contentWindow.memio, typeof blank.contentWindow.memio];"),
            Json::parse(R"(["undefined", "undefined"])"));
}

TEST_F(FramesInside, ThatAreRemovedLeaveNothing) {
  pages_.set_frames("app/", "<iframe id=f src='page://app/inner'></iframe>");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://app/"));
  ASSERT_EQ(browser.run(R"js(
    globalThis.inner = f.contentWindow.memio;
    globalThis.region = await inner.open('t/widget');
    globalThis.bytes = region.read().data;
    return bytes[0];
  )js"),
            'f');
  ASSERT_TRUE(wait_for_handles("t/widget", 2));
  // Nothing of it is left when remove() returns, and whoever kept a part of it is told so or waits for nothing.
  EXPECT_EQ(browser.run(R"js(
    f.remove();
    const outcome = await Promise.race([inner.open('t/widget').then(() => 'opened', e => e.name),
                                        new Promise(resolve => setTimeout(resolve, 300, 'silent'))]);
    return [bytes[0], region.closed, outcome !== 'opened'];
  )js"),
            Json::parse("[0, true, true]"));
  EXPECT_TRUE(wait_for_handles("t/widget", 1));
  EXPECT_EQ(Browser::memio_mappings(), 0U);
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(FramesInside, MayCallWhileTheyAreRemoved) {
  pages_.set_frames("app/", "");
  pages_.set("app/inner", R"html(<!doctype html><script>
    const calls = () => {
      memio.open('t/widget').then(r => r.read(), () => {});
      memio.list().catch(() => {});
      try { globalThis.region?.read(); } catch {}
      globalThis.region?.close();
    };
    for (const type of ['pagehide', 'unload', 'visibilitychange']) addEventListener(type, calls, true);
    memio.open('t/widget').then(r => { globalThis.region = r; r.addEventListener('change', () => frameElement.remove()); });
  </script>)html");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://app/"));
  // Removed in the middle of its answers and events, right after its load, and before that.
  EXPECT_EQ(browser.run(R"js(
    for (let i = 0; i < 60; ++i) {
      const frame = document.createElement('iframe');
      frame.src = 'page://app/inner';
      const loaded = new Promise(resolve => frame.onload = resolve);
      document.body.append(frame);
      if (i % 3 === 0) await loaded;
      if (i % 3 === 1) await new Promise(resolve => setTimeout(resolve, i));
      if (i % 3 !== 2) { frame.remove(); continue; }
      await loaded;
      while (frame.isConnected) await new Promise(resolve => setTimeout(resolve, 1));
    }
    return (await memio.list()).length;
  )js"),
            2);
  EXPECT_TRUE(wait_for_handles("t/widget", 1));
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(FramesInside, ThatGoSomewhereElseLoseTheirRegions) {
  pages_.set_frames("app/", "<iframe id=w src='page://widget/'></iframe>");
  Browser browser(memio_.get(), pages_.serve());
  ASSERT_TRUE(browser.load_uri("page://app/"));
  EXPECT_EQ(browser.run(ask("w", "globalThis.r = await memio.open('t/widget'); return r.name")), "t/widget");
  EXPECT_EQ(browser.run("await new Promise(r => { w.onload = r; w.src = 'page://other/'; });" + ask("w", has_memio)),
            "undefined");
  EXPECT_TRUE(wait_for_handles("t/widget", 1));
}

// The extension's own look at the policy is a courtesy: here it is told of rules that the application does not have.
TEST_F(FramesInside, AreJudgedByTheApplicationWhateverTheWebProcessThinks) {
  const webext::ObjectPtr<MemioWebkit> lying(memio_webkit_new());
  allow(memio_webkit_allow(lying.get(), "*", "**", MEMIO_WEBKIT_ALL, &error_));
  allow(memio_webkit_allow_inside(lying.get(), "*", "*", "**", MEMIO_WEBKIT_ALL, &error_));
  pages_.set_frames("app/", "<iframe id=w src='page://widget/'></iframe><iframe id=o src='page://other/'></iframe>");
  pages_.set_frames("other/", "<iframe id=w src='page://widget/'></iframe>");
  Browser browser(memio_.get(), pages_.serve(), [&](WebKitWebContext* context) {
    allow(memio_webkit_attach_context(lying.get(), context, &error_));
  });
  ASSERT_TRUE(browser.load_uri("page://app/"));
  EXPECT_EQ(browser.run(ask("w", "return (await memio.list()).map(r => r.name)")), Json::parse(R"(["t/widget"])"));
  EXPECT_EQ(browser.run(ask("o", "await memio.list()")).value("error", ""), "io.memio.PermissionDenied");
  ASSERT_TRUE(browser.load_uri("page://other/"));
  EXPECT_EQ(browser.run("await memio.list()").value("error", ""), "io.memio.PermissionDenied");
  EXPECT_EQ(browser.run(ask("w", "await memio.list()")).value("error", ""), "io.memio.PermissionDenied");
}

}  // namespace

}  // namespace memio::test

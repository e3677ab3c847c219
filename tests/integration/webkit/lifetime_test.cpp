// SPDX-License-Identifier: MIT
// However a document ends, its handles end.
#include <signal.h>

#include "support/fd_leak_check.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

// A page that can be loaded again and gone back to, which those of load_html() cannot.
void serve_page(WebKitURISchemeRequest* request, gpointer) {
  constexpr std::string_view page = "<!doctype html><title>t</title>";
  const webext::ObjectPtr<GInputStream> stream(g_memory_input_stream_new_from_data(page.data(), page.size(), nullptr));
  webkit_uri_scheme_request_finish(request, stream.get(), page.size(), "text/html");
}

void add_scheme(WebKitWebContext* context) {
  webkit_web_context_register_uri_scheme(context, "page", serve_page, nullptr, nullptr);
}

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
  Region region_ = [this] {
    auto region = make_region("t/life");
    EXPECT_TRUE(publish(region, "x"));
    return region;
  }();
};

TEST_F(Lifetime, ReloadFreesTheHandles) {
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_TRUE(open_in(browser));
  ASSERT_TRUE(browser.reload());
  EXPECT_TRUE(wait_for_handles("t/life", 1));
  EXPECT_TRUE(open_in(browser)) << "the new document can open it again";
}

TEST_F(Lifetime, APageThatIsGoneBackToCanOpenAgain) {
  Browser browser(memio_.get(), add_scheme);
  ASSERT_TRUE(browser.load_uri("page://host/a"));
  ASSERT_TRUE(open_in(browser));
  ASSERT_TRUE(browser.load_uri("page://host/b"));
  EXPECT_TRUE(wait_for_handles("t/life", 1));
  ASSERT_TRUE(browser.go_back());
  // Whether WebKit kept the document or loaded it again is its own business: in both cases this is a page with memio.
  const Json kept = browser.run("return globalThis.a === undefined ? 'loaded again' : a.closed;");
  EXPECT_TRUE(kept == "loaded again" || kept == true) << kept;
  EXPECT_TRUE(open_in(browser));
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

TEST_F(Lifetime, ACrashOfTheWebProcessFreesTheHandles) {
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

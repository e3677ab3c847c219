// SPDX-License-Identifier: MIT
// What pages may do, and what they are told when they may not.
#include <signal.h>

#include "webkit_test.h"

namespace memio::test {

namespace {

using Access = WebKitTest;

// The name of the error that `expression` ends in, or "none".
std::string error_of(Browser& browser, const std::string& expression) {
  const Json result = browser.run("await (" + expression + "); return 'none';");
  if (result.is_string()) return result;
  EXPECT_GT(result.value("message", "").size(), 10U) << expression;
  return result.value("error", "?");
}

TEST_F(Access, PagesCreateListStatAndRemove) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    const region = await memio.create('t/made', {capacity: 100, slots: 3, layout: 'memio24'});
    region.write(new Uint8Array([1, 2]), {version: 4});
    const listed = (await memio.list('t/*')).map(r => [r.name, r.slots, r.layout, r.capacity]);
    const stat = await memio.stat('t/made');
    await memio.remove('t/made');
    return [listed, stat.version, stat.length, (await memio.list()).length, region.access];
  )js"),
            Json::parse(R"([[["t/made", 3, "memio24", 100]], 4, 2, 0, "write"])"));
}

TEST_F(Access, ErrorsHaveTheirNames) {
  auto region = make_region("t/small", 8);
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(
      browser.run(
          "globalThis.r = await memio.open('t/small'); globalThis.w = await memio.open('t/small', {access: 'write'});"
          "return r instanceof EventTarget && r instanceof memio.Region;"),
      true);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"memio.open('t/none')", "io.memio.NoSuchRegion"},
      {"memio.open('../x')", "io.memio.InvalidName"},
      {"memio.open('')", "io.memio.InvalidName"},
      {"memio.open(7)", "io.memio.InvalidName"},
      {"memio.open()", "io.memio.InvalidName"},
      {"memio.open('t/' + 'x'.repeat(1e6))", "io.memio.InvalidName"},
      {"memio.open('t/small', {access: 'both'})", "org.varlink.service.InvalidParameter"},
      {"memio.create('t/zero', {capacity: 0})", "io.memio.InvalidCapacity"},
      {"memio.create('t/neg', {capacity: -1})", "io.memio.InvalidCapacity"},
      {"memio.create('t/half', {capacity: 1.5})", "io.memio.InvalidCapacity"},
      {"memio.create('t/nan', {capacity: NaN})", "io.memio.InvalidCapacity"},
      {"memio.create('t/text', {capacity: '8'})", "io.memio.InvalidCapacity"},
      {"memio.create('t/slots', {capacity: 8, slots: 65})", "io.memio.InvalidSlots"},
      {"memio.create('t/small', {capacity: 8})", "io.memio.RegionExists"},
      {"memio.create('t/big', {capacity: 2 ** 31, slots: 4})", "io.memio.LimitExceeded"},
      {"memio.remove('t/none')", "io.memio.NoSuchRegion"},
      {"memio.list('[')", "io.memio.InvalidPattern"},
      {"w.write(new Uint8Array(9))", "io.memio.client.PayloadTooLarge"},
      {"w.begin(9)", "io.memio.client.PayloadTooLarge"},
      {"w.begin(-1)", "io.memio.client.Misuse"},
      {"w.write('text')", "io.memio.client.Misuse"},
      {"w.write(new Uint8Array(1), {version: -1})", "io.memio.client.Misuse"},
      {"w.commit()", "io.memio.client.Misuse"},
      {"r.write(new Uint8Array(1))", "io.memio.client.ReadOnly"},
      {"new memio.Region()", "TypeError"},
      {"w.write(new Uint8Array(8))", "none"},
  };
  for (const auto& [expression, name] : cases) EXPECT_EQ(error_of(browser, expression), name) << expression;
  EXPECT_EQ(error_of(browser, "(r.close(), r.close(), r.read())"), "io.memio.client.Misuse");
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Access, NamesOutsideTheGrantsDoNotExist) {
  auto hidden = make_region("secret/a");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const Json outside = browser.run("await memio.open('secret/a');");
  const Json absent = browser.run("await memio.open('secret/b');");
  EXPECT_EQ(outside["error"], "io.memio.NoSuchRegion");
  EXPECT_EQ(absent["error"], outside["error"]);
  EXPECT_EQ(browser.run("return await memio.list();"), Json::array());
}

TEST_F(Access, AStoreIntoAReadOnlyRegionSurvivesAndReachesNobody) {
  auto region = make_region("t/ro");
  ASSERT_TRUE(publish(region, "true"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run("const s = (await memio.open('t/ro')).read(); s.data[0] = 88; return s.data[0];"), 'X');
  EXPECT_EQ(text_of(region), "true");
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Access, PagesWithoutGrantsHaveNoMemio) {
  Browser browser(memio_.get());
  for (const std::string base : {"https://other.local/", "http://app.local/", "https://app.local:8443/",
                                 "https://x.app.local/", "about:blank"}) {
    ASSERT_TRUE(browser.load_html(base));
    EXPECT_EQ(browser.run("return [typeof memio, 'memio' in globalThis];"), Json::parse(R"(["undefined", false])"))
        << base;
  }
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run("return typeof memio;"), "object");
}

TEST_F(Access, FramesInsideHaveNoMemio) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html("https://app.local/", "<!doctype html><iframe id=f srcdoc='<p>x'></iframe>"));
  EXPECT_EQ(browser.run("return [typeof memio, typeof f.contentWindow.memio];"),
            Json::parse(R"(["object", "undefined"])"));
}

TEST_F(Access, WithoutMemiodPagesAreToldSo) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  auto region = make_region("t/kept");
  ASSERT_TRUE(publish(region, "still here"));
  ASSERT_EQ(browser.run("globalThis.region = await memio.open('t/kept'); return region.sequence;"), 1);
  daemon_.kill();
  EXPECT_EQ(error_of(browser, "memio.open('t/kept')"), "io.memio.client.Disconnected");
  EXPECT_EQ(browser.run("return new TextDecoder().decode(region.read().data.slice());"), "still here");
}

// Takes the ten seconds that libmemio-webkit waits.
TEST_F(Access, AMemiodThatHangsHangsNobody) {
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(::kill(daemon_.pid(), SIGSTOP), 0);
  const auto outcome = browser.start("await memio.open('t/a');");
  auto last_turn = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration longest{};
  EXPECT_TRUE(run_until([&] {
    const auto now = std::chrono::steady_clock::now();
    longest = std::max(longest, now - last_turn);
    last_turn = now;
    return outcome->done;
  }));
  ::kill(daemon_.pid(), SIGCONT);
  EXPECT_EQ(outcome->value.value("error", ""), "io.memio.client.TimedOut") << outcome->value;
  EXPECT_LT(longest, 1s) << "the main loop stood still";
}

TEST_F(Access, BadPoliciesAreErrorsOfTheLibrary) {
  const auto code = [&](const char* origins, const char* names, unsigned rights) {
    GError* error = nullptr;
    memio_webkit_allow(memio_.get(), origins, names, static_cast<MemioWebkitRights>(rights), &error);
    const webext::ErrorPtr owned(error);
    return error && error->domain == MEMIO_WEBKIT_ERROR ? error->code : -1;
  };
  EXPECT_EQ(code("app.local", "a", MEMIO_WEBKIT_READ), MEMIO_WEBKIT_ERROR_INVALID_PATTERN);
  EXPECT_EQ(code("https://a.*.b", "a", MEMIO_WEBKIT_READ), MEMIO_WEBKIT_ERROR_INVALID_PATTERN);
  EXPECT_EQ(code("https://a", "../a", MEMIO_WEBKIT_READ), MEMIO_WEBKIT_ERROR_INVALID_PATTERN);
  EXPECT_EQ(code("https://a", "a", 0), MEMIO_WEBKIT_ERROR_INVALID_RIGHTS);
  EXPECT_EQ(code("https://a", "a", 1 << 9), MEMIO_WEBKIT_ERROR_INVALID_RIGHTS);
  EXPECT_EQ(code("https://a", "a", MEMIO_WEBKIT_READ), -1);
}

}  // namespace

}  // namespace memio::test

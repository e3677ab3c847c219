// SPDX-License-Identifier: MIT
// What pages may do, and what they are told when they may not.
#include <signal.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "support/process.h"
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
    const region = await memio.create('t/made', {capacity: 100, slots: 3, layout: 'memio24', hugePages: false, shrinkAfter: 60000});
    region.write(new Uint8Array([1, 2]), {version: 4});
    const listed = (await memio.list('t/*')).map(r => [r.name, r.slots, r.layout, r.capacity, r.hugePages, r.shrinkAfter]);
    const stat = await memio.stat('t/made');
    await memio.remove('t/made');
    return [listed, stat.version, stat.length, (await memio.list()).length, region.access];
  )js"),
            Json::parse(R"([[["t/made", 3, "memio24", 100, false, 60000]], 4, 2, 0, "write"])"));
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
      {"memio.create('t/huge', {capacity: 8, hugePages: 1})", "org.varlink.service.InvalidParameter"},
      {"memio.create('t/shrink', {capacity: 8, shrinkAfter: '1'})", "org.varlink.service.InvalidParameter"},
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

// Two pages, each with two of the four rights to commands and topics, and with none to regions.
TEST_F(Access, EachRightToCommandsAndTopicsIsGrantedByItself) {
  const auto allow = [this](const char* origin, const char* names, unsigned rights) {
    return memio_webkit_allow(memio_.get(), origin, names, static_cast<MemioWebkitRights>(rights), nullptr);
  };
  ASSERT_TRUE(allow("https://serves.local", "t/**", MEMIO_WEBKIT_HANDLE | MEMIO_WEBKIT_EMIT));
  ASSERT_TRUE(allow("https://uses.local", "t/known/*", MEMIO_WEBKIT_INVOKE | MEMIO_WEBKIT_LISTEN));
  auto region = make_region("t/known/region");
  Browser serves(memio_.get()), uses(memio_.get());
  ASSERT_TRUE(serves.load_html("https://serves.local/"));
  ASSERT_TRUE(uses.load_html("https://uses.local/"));
  for (Browser* browser : {&serves, &uses})
    ASSERT_EQ(browser->run("globalThis.heard = []; await memio.listen('t/**', m => heard.push(m.topic)); return 1;"),
              1);

  EXPECT_EQ(error_of(serves, "memio.handle('t/known/one', () => 1)"), "none");
  EXPECT_EQ(error_of(serves, "memio.handle('t/hidden/two', () => 2)"), "none");
  EXPECT_EQ(error_of(serves, "memio.emit('t/hidden/topic')"), "none");
  EXPECT_EQ(error_of(serves, "memio.emit('t/known/topic')"), "none");
  EXPECT_EQ(uses.run("return await memio.invoke('t/known/one');"), 1);
  EXPECT_TRUE(run_until([&] { return uses.run("return heard;") == Json::array({"t/known/topic"}); }));

  // What a page may not invoke or hear does not exist for it; what it may not do it is told.
  EXPECT_EQ(error_of(serves, "memio.invoke('t/known/one')"), "io.memio.NoSuchCommand");
  EXPECT_EQ(serves.run("return heard;"), Json::array());
  EXPECT_EQ(error_of(uses, "memio.invoke('t/hidden/two')"), "io.memio.NoSuchCommand");
  for (const auto& [expression, right, name] :
       std::vector<std::array<std::string, 3>>{{"memio.handle('t/known/own', () => 1)", "handle", "t/known/own"},
                                               {"memio.emit('t/known/topic')", "emit", "t/known/topic"}}) {
    const Json refused = uses.run("await " + expression + ";");
    EXPECT_EQ(refused.value("error", ""), "io.memio.PermissionDenied") << refused;
    EXPECT_NE(refused.value("message", "").find(right), std::string::npos) << refused;
    EXPECT_NE(refused.value("message", "").find(name), std::string::npos) << refused;
  }
  for (Browser* browser : {&serves, &uses})
    EXPECT_EQ(error_of(*browser, "memio.open('t/known/region')"), "io.memio.NoSuchRegion");
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

// The same for one that stops while a page is connected: calls have a time limit too, and late answers do no harm.
TEST_F(Access, AMemiodThatHangsLaterHangsNobodyEither) {
  auto region = make_region("t/late");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run("return (await memio.list()).length"), 1);
  ASSERT_EQ(::kill(daemon_.pid(), SIGSTOP), 0);
  const Json late = browser.run("await Promise.all([memio.open('t/late'), memio.list()]);");
  ::kill(daemon_.pid(), SIGCONT);
  EXPECT_EQ(late.value("error", ""), "io.memio.client.TimedOut") << late;
  EXPECT_EQ(browser.run("return (await memio.list()).length"), 1) << "the connection goes on";
  EXPECT_TRUE(wait_for_handles("t/late", 1)) << "what was opened too late is closed again";
}

TEST_F(Access, AHundredThousandOpensAreErrorsAtMost) {
  auto region = make_region("t/many");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const auto outcome = browser.start(R"js(
    const tally = {};
    const count = what => { tally[what] = (tally[what] ?? 0) + 1; };
    for (let round = 0; round < 100; ++round) {
      const opens = [];
      for (let i = 0; i < 1000; ++i)
        opens.push(memio.open('t/many').then(r => { count('opened'); return r; }, e => { count(e.name); }));
      const regions = await Promise.all(opens);
      if (round % 2 === 0) for (const region of regions) region?.close();
    }
    return tally;
  )js");
  ASSERT_TRUE(run_until([&] { return outcome->done; }, 120s));
  std::cout << "100,000 opens: " << outcome->value << std::endl;
  std::uint64_t total = 0;
  for (const auto& [what, count] : outcome->value.items()) total += count.get<std::uint64_t>();
  EXPECT_EQ(total, 100000U);
  EXPECT_GT(outcome->value.value("opened", 0U), 0U);
  EXPECT_TRUE(client_.list()) << "memiod serves the others";
  EXPECT_EQ(browser.terminations(), 0);
  ASSERT_TRUE(browser.load_html("https://other.local/"));
  EXPECT_TRUE(wait_for_handles("t/many", 1));
}

// The road for applications with a directory of extensions and user data of their own, as memio-webkit.h has it.
TEST_F(Access, AnApplicationMayHaveItsOwnDirectoryOfExtensions) {
  const TemporaryDirectory own;
  const std::filesystem::path ours(memio_webkit_get_extension_directory());
  std::filesystem::create_symlink(ours / "memio-webkit-extension.so", own.path() + "/memio-webkit-extension.so");
  struct Given {
    std::string directory;
    MemioWebkit* memio;
  } given{own.path(), memio_.get()};
  Browser browser(memio_.get(), {}, [&](WebKitWebContext* context) {
#ifndef MEMIO_WEBKIT_6
    webkit_web_context_set_sandbox_enabled(context, TRUE);
#endif
    webkit_web_context_add_path_to_sandbox(context, given.directory.c_str(), TRUE);
    webkit_web_context_add_path_to_sandbox(context, ours.c_str(), TRUE);
    const auto initialize = +[](WebKitWebContext* starting, gpointer data) {
      const auto& to_give = *static_cast<Given*>(data);
      webkit_web_context_set_web_process_extensions_directory(starting, to_give.directory.c_str());
      webkit_web_context_set_web_process_extensions_initialization_user_data(
          starting, memio_webkit_get_initialization_data(to_give.memio));
    };
    g_signal_connect(context, MEMIO_INITIALIZE_SIGNAL, G_CALLBACK(initialize), &given);
  });
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run("return (await memio.list()).length"), 0);
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

// Loads a policy of this text; the error's message, or "none".
std::string policy_error(MemioWebkit* memio, const std::string& text, int code) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/policy.json";
  std::ofstream(path) << text;
  GError* error = nullptr;
  if (memio_webkit_load_policy(memio, path.c_str(), &error)) return "none";
  const webext::ErrorPtr owned(error);
  EXPECT_EQ(error->code, code);
  const std::string message(error->message);
  return message.starts_with(path + ": ") ? message.substr(path.size() + 2) : message;
}

TEST_F(Access, APolicyCanComeFromAFile) {
  EXPECT_EQ(policy_error(memio_.get(),
                         R"({"rules": [{"origins": ["https://filed.local"],
                                        "grants": [{"pattern": "t/filed", "rights": ["read", "create", "write"]}]}]})",
                         0),
            "none");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html("https://filed.local/"));
  EXPECT_EQ(browser.run("return (await memio.create('t/filed', {capacity: 8})).name"), "t/filed");
  EXPECT_EQ(error_of(browser, "memio.create('t/other', {capacity: 8})"), "io.memio.PermissionDenied");
}

TEST_F(Access, AMistakeInAFileIsToldAndNothingOfItCounts) {
  EXPECT_EQ(
      policy_error(
          memio_.get(),
          R"({"rules": [{"origins": ["https://filed.local"], "grants": [{"pattern": "**", "rights": ["read"]}]},
                                       {"origins": ["https://filed.local"], "grant": []}]})",
          MEMIO_WEBKIT_ERROR_INVALID_POLICY),
      "rules[1]: unknown member \"grant\"; a rule has description, origins, frames, within, grants, compatibility, "
      "workers");
  GError* error = nullptr;
  EXPECT_FALSE(memio_webkit_load_policy(memio_.get(), "/nowhere/policy.json", &error));
  EXPECT_TRUE(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
  g_clear_error(&error);
  EXPECT_FALSE(memio_webkit_enable(memio_.get(), "*", "turbo", &error));
  EXPECT_TRUE(g_error_matches(error, MEMIO_WEBKIT_ERROR, MEMIO_WEBKIT_ERROR_INVALID_OPTION));
  g_clear_error(&error);
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html("https://filed.local/"));
  EXPECT_EQ(browser.run("return typeof memio;"), "undefined");
}

}  // namespace

}  // namespace memio::test

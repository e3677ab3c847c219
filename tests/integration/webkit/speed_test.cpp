// SPDX-License-Identifier: MIT
// The measurement that the project is about: 100 MiB from a native program to a page, through a region and through what
// WebKit offers for it, a custom URI scheme. Both in one run; the figures are printed.
#include <cstring>
#include <iostream>

#include "webkit_test.h"

namespace memio::test {

namespace {

constexpr std::size_t size = std::size_t{100} << 20;

// Answers bulk://host/page with a page, and anything else with `size` bytes.
void serve(WebKitURISchemeRequest* request, gpointer) {
  if (std::strcmp(webkit_uri_scheme_request_get_path(request), "/page") == 0) {
    constexpr std::string_view page = "<!doctype html><title>t</title>";
    const webext::ObjectPtr<GInputStream> stream(
        g_memory_input_stream_new_from_data(page.data(), page.size(), nullptr));
    webkit_uri_scheme_request_finish(request, stream.get(), page.size(), "text/html");
    return;
  }
  static const std::vector<char> bulk(size, 'x');
  const webext::ObjectPtr<GInputStream> stream(g_memory_input_stream_new_from_data(bulk.data(), size, nullptr));
  webkit_uri_scheme_request_finish(request, stream.get(), size, "application/octet-stream");
}

TEST_F(WebKitTest, AHundredMebibytesAreReadableAtOnce) {
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "bulk://host", "t/**", MEMIO_WEBKIT_READ, &error));
  auto region = make_region("t/bulk", size);
  Browser browser(memio_.get(), [](WebKitWebContext* context) {
    webkit_web_context_register_uri_scheme(context, "bulk", serve, nullptr, nullptr);
  });
  ASSERT_TRUE(browser.load_uri("bulk://host/page"));
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/bulk');
    globalThis.arrived = new Promise(resolve => region.addEventListener('change', () => {
      const start = performance.now();
      const snapshot = region.read();
      const samples = [0, snapshot.length >> 1, snapshot.length - 1].map(i => snapshot.data[i]);
      const ready = performance.now() - start;
      // Having it and having read it are two things: the first pass also pays for the page's own page tables.
      const words = new Float64Array(snapshot.data.buffer, snapshot.data.byteOffset, snapshot.length / 8);
      const at = Date.now();
      const passes = [1, 2].map(() => {
        const begin = performance.now();
        let sum = 0;
        for (let i = 0; i < words.length; ++i) sum += words[i];
        return {ms: performance.now() - begin, sum};
      });
      resolve({ready, length: snapshot.length, samples, at, first: passes[0].ms, second: passes[1].ms});
      snapshot.release();
    }));
    return true;
  )js"),
            true);
  const auto place = region.begin(size);
  ASSERT_TRUE(place);
  std::memset(place->data(), 'x', size);
  // Before commit(): the page may be told before that returns.
  const auto published = std::chrono::system_clock::now();
  ASSERT_TRUE(region.commit(1));
  const Json shared = browser.run("return await arrived;");
  ASSERT_EQ(shared.value("length", 0U), size) << shared;
  EXPECT_EQ(shared["samples"], Json::parse("[120, 120, 120]"));
  const Json fetched = browser.run(R"js(
    const start = performance.now();
    const buffer = await (await fetch('bulk://host/bytes')).arrayBuffer();
    return {ready: performance.now() - start, length: buffer.byteLength};
  )js");
  ASSERT_EQ(fetched.value("length", 0U), size) << fetched;

  // performance.now() counts whole milliseconds here, so the page's figure is good to one.
  const auto epoch = std::chrono::duration_cast<std::chrono::milliseconds>(published.time_since_epoch()).count();
  std::cout << "100 MiB, native to page: readable " << shared["ready"] << " ms after the change event (which came "
            << shared["at"].get<std::int64_t>() - epoch << " ms after the publish), all of it read in "
            << shared["first"] << " ms, again in " << shared["second"] << " ms; fetched by a URI scheme in "
            << fetched["ready"] << " ms" << std::endl;
  EXPECT_LT(shared["ready"].get<double>(), 5);
  EXPECT_GT(fetched["ready"].get<double>(), 20 * 5);
}

}  // namespace

}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Whole files through streams: memioUploadFile() of the npm package and of the layer for pages of MemioTauri, and
// MemioTauri's own commands.
#include <fstream>
#include <sstream>

#include "stream_test.h"

namespace memio::test {

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

class Upload : public StreamTest {
 protected:
  ~Upload() override { g_unsetenv("JSC_useSharedArrayBuffer"); }  // which the library may have set

  // A page with `upload`, the package's function, bytes `all(length)`, and `workers`, which counts those that are made.
  static void prepare(Browser& browser) {
    std::ifstream file(MEMIO_CLIENT_JS);
    std::stringstream source;
    source << file.rdbuf();
    ASSERT_TRUE(browser.load_html());
    ASSERT_EQ(browser.run(bytes_in_javascript + ("const source = " + Json(source.str()).dump()) + R"js(;
      globalThis.all = length => { const to = new Uint8Array(length);
        for (let at = 0; at < length; at += 2 ** 20) to.set(bytesAt(at / 2 ** 20).subarray(0, length - at), at); return to; };
      const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
      globalThis.upload = (await import(url)).memioUploadFile;
      globalThis.workers = 0;
      globalThis.Worker = class extends Worker { constructor(...given) { super(...given); ++workers; } };
      return 1;)js"),
              1);
  }
};

TEST_F(Upload, SendsAFileThroughAStream) {
  constexpr std::uint64_t length = 9 * mib + 5;
  for (const bool workers : {false, true}) {
    ASSERT_TRUE(!workers || memio_webkit_enable(memio_.get(), "https://app.local", "workers", nullptr));
    Browser browser(memio_.get());
    prepare(browser);
    auto peer = start_peer({"create", "read", "t/s"});
    ASSERT_EQ(peer.line(), "ready");
    EXPECT_EQ(browser.run("const length = " + std::to_string(length) + R"js(;
      const heard = [];
      const {success, bytesWritten} = await upload('t/s', new File([all(length)], 'a.bin'),
        {onProgress: (taken, total) => heard.push([taken, total])});
      const rising = heard.every(([taken, total], i) => total === length && (i === 0 || taken > heard[i - 1][0]));
      return [success, bytesWritten, heard.at(-1), rising, workers];)js"),
              Json::array({true, length, Json::array({length, length}), true, workers ? 1 : 0}));
    EXPECT_EQ(peer.result(), Json({{"bytes", length}, {"sha256", sha256_of_stream(length)}}));
    EXPECT_TRUE(nothing_left());
  }
}

TEST_F(Upload, IsGivenUpByASignal) {
  for (const bool workers : {false, true}) {
    ASSERT_TRUE(!workers || memio_webkit_enable(memio_.get(), "https://app.local", "workers", nullptr));
    Browser browser(memio_.get());
    prepare(browser);
    auto peer = start_peer({"create", "read", "t/s"});
    ASSERT_EQ(peer.line(), "ready");
    EXPECT_EQ(browser.run(R"js(
      const controller = new AbortController();
      const onProgress = () => controller.abort(new Error('never mind'));
      return await upload('t/s', new File([all(50 * 2 ** 20)], 'a.bin'), {signal: controller.signal, onProgress}).catch(e => e.message);)js"),
              "never mind");
    const Json result = peer.result();
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Aborted") << result;
    EXPECT_NE(result.value("message", "").find("never mind"), std::string::npos) << result;
  }
}

TEST_F(Upload, WritesTheRegionIfThereIsNoStream) {
  ASSERT_TRUE(memio_webkit_enable(memio_.get(), "https://app.local", "memio-tauri", nullptr));
  auto region = make_region("t/region");
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser.run(R"js(
    const first = await upload('t/region', new File(['in a file'], 'a.txt'));
    return [first.success, first.bytesWritten, await memioUploadFile('t/region', new File(['by the global'], 'a.txt'))];)js"),
            Json::array({true, 9, true}));
  EXPECT_EQ(text_of(region), "by the global");
  auto peer = start_peer({"create", "read", "t/s"});
  ASSERT_EQ(peer.line(), "ready");
  EXPECT_EQ(browser.run(R"js(
    const sent = await memioUploadFile('t/s', new File(['x'], 'a.txt'));
    return [sent, memioListBuffers()];)js"),
            Json::parse(R"([true, ["t/region"]])"));
  EXPECT_EQ(peer.result().value("bytes", 0), 1);
}

TEST_F(Upload, MemioTaurisCommandsFillARegion) {
  constexpr std::uint64_t length = 3 * mib + 7;
  auto region = make_region("t/region", 4 * mib);
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser.run("const length = " + std::to_string(length) + R"js(;
    const invoke = (name, args) => memio.invoke('plugin:memio|' + name, args);
    const started = await invoke('start_upload_stream', {name: 't/region', totalLength: length, chunkSize: 100000, bufferCount: 2, version: 42});
    const stream = await memio.stream('t/region', {access: 'write'});
    await stream.write(all(length));
    await stream.finish();
    await invoke('stop_upload_stream', {name: 't/region'});
    return started;)js"),
            Json::parse(R"({"control_name": "t/region__ctrl", "buffer_names": ["t/region__data_0", "t/region__data_1"],
                            "capacity": 2, "entry_size": 24})"));
  const auto snapshot = region.read();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->version(), 42U);
  Sha256 sha;
  sha.add(snapshot->data());
  EXPECT_EQ(sha.hex(), sha256_of_stream(length));
  for (const auto& [code, error] : std::vector<std::pair<std::string, std::string>>{
           {"stop_upload_stream', {name: 't/region'}", "io.memio.client.Misuse"},
           {"start_upload_stream', {name: 't/none', totalLength: 1, chunkSize: 1, bufferCount: 1, version: 1}",
            "io.memio.NoSuchRegion"},
           {"start_upload_stream', {name: 't/region', totalLength: 5000000, chunkSize: 1, bufferCount: 1, version: 1}",
            "io.memio.client.PayloadTooLarge"},
           {"start_upload_stream', {name: 't/region', totalLength: 1, chunkSize: 1, bufferCount: 3, version: 1}",
            "io.memio.client.Misuse"}})
    EXPECT_EQ(browser.run("await memio.invoke('plugin:memio|" + code + ");").value("error", ""), error) << code;
  // Fewer bytes than were said: nothing is published, and the region can be written again.
  EXPECT_EQ(browser
                .run(R"js(
    const name = 't/region';
    await memio.invoke('plugin:memio|start_upload_stream', {name, totalLength: 10, chunkSize: 4, bufferCount: 1, version: 43});
    const stream = await memio.stream(name, {access: 'write'});
    await stream.write(new Uint8Array(9));
    await stream.finish();
    await memio.invoke('plugin:memio|stop_upload_stream', {name});)js")
                .value("error", ""),
            "io.memio.client.Misuse");
  EXPECT_TRUE(publish(region, "the lock is free"));
}

}  // namespace

}  // namespace memio::test

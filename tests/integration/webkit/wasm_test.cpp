// SPDX-License-Identifier: MIT
// Regions in the memory of wasm modules. The module is webext/examples/wasm/sum.wasm.
#include <fstream>
#include <numeric>

#include "webkit_test.h"

namespace memio::test {

namespace {

class Wasm : public WebKitTest {
 protected:
  // Gives the page `module` and the region t/wasm as `region`.
  void prepare(Browser& browser, const std::string& access = "read") {
    std::ifstream file(MEMIO_SUM_WASM, std::ios::binary);
    const std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(file), {}};
    ASSERT_TRUE(browser.load_html());
    ASSERT_EQ(browser.run("globalThis.module = new WebAssembly.Module(new Uint8Array(" + Json(bytes).dump() +
                          ")); globalThis.region = await memio.open('t/wasm', {access: '" + access + "'}); return 1;"),
              1);
    ASSERT_EQ(browser.run(R"js(
      globalThis.start = memory => new WebAssembly.Instance(module, {env: {memory}}).exports;
      globalThis.fixed = pages => new WebAssembly.Memory({initial: pages, maximum: pages});
      return 1;
    )js"),
              1);
  }
};

TEST_F(Wasm, AModuleSumsARegionInPlace) {
  auto region = make_region("t/wasm", 80'000);
  std::vector<double> numbers(10'000);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  ASSERT_TRUE(region.write(std::as_bytes(std::span(numbers))));
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser.run(R"js(
    globalThis.memory = fixed(16);
    globalThis.mapping = memio.mapInto(memory, 65536, region);
    globalThis.total = () => {
      const s = region.read();
      const sum = start(memory).sum(mapping.offsetOf(s), s.length / 8);
      s.release();
      return sum;
    };
    return [total(), mapping.byteOffset, mapping.byteLength];
  )js"),
            Json::array({50'005'000, 65536, 4 * 81'920}));
  numbers.assign(3, 2.5);
  ASSERT_TRUE(region.write(std::as_bytes(std::span(numbers))));
  EXPECT_EQ(browser.run("return total();"), 7.5);
  // grow(0) gives the memory a new buffer, over the same memory; then nobody holds it but the mapping.
  EXPECT_EQ(browser.run("memory.grow(0); return total();"), 7.5);
  EXPECT_EQ(browser.run(R"js(
    mapping.unmap();
    mapping.unmap();
    return [new Uint8Array(memory.buffer).every(b => b === 0), region.read().length];
  )js"),
            Json::array({true, 24}));
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Wasm, AModuleWritesARegionInPlace) {
  auto region = make_region("t/wasm");
  Browser browser(memio_.get());
  prepare(browser, "write");
  EXPECT_EQ(browser.run(R"js(
    const memory = fixed(2);
    const mapping = memio.mapInto(memory, 0, region);
    const place = region.begin(16);
    start(memory).fill(mapping.offsetOf(place), 2, 0.5);
    return [region.commit(), [...region.as(Float64Array)]];
  )js"),
            Json::parse("[1, [0.5, 0.5]]"));
  const auto snapshot = region.read();
  ASSERT_TRUE(snapshot);
  double first = 0;
  std::memcpy(&first, snapshot->data().data(), sizeof first);
  EXPECT_EQ(first, 0.5);
}

TEST_F(Wasm, StoresOfAModuleIntoAReadOnlyRegionAreUndone) {
  auto region = make_region("t/wasm");
  const std::array<double, 2> numbers{1, 2};
  ASSERT_TRUE(region.write(std::as_bytes(std::span(numbers))));
  Browser browser(memio_.get());
  prepare(browser);
  EXPECT_EQ(browser.run(R"js(
    const memory = fixed(2);
    const {sum, fill} = start(memory);
    const mapping = memio.mapInto(memory, 0, region);
    const sums = [];
    for (let i = 0; i < 2000; ++i) {
      const s = region.read();
      const at = mapping.offsetOf(s);
      sums.push(sum(at, 2));
      fill(at, 2, 9);
      if (sum(at, 2) !== 18) throw new Error('not stored');
      s.release();
    }
    return [...new Set(sums)];
  )js"),
            Json::array({3}));
  EXPECT_EQ(browser.terminations(), 0);
}

TEST_F(Wasm, SaysWhatCannotBeMapped) {
  auto region = make_region("t/wasm", 4096, 2);  // 2 slots of 8192 bytes
  Browser browser(memio_.get());
  prepare(browser);
  const std::vector<std::string> cases = {
      "new WebAssembly.Memory({initial: 1, maximum: 2})",
      "new WebAssembly.Memory({initial: 1})",
      "{buffer: new ArrayBuffer(65536)}",
      "new ArrayBuffer(65536)",
      "Object.create(WebAssembly.Memory.prototype)",
      "undefined",
      "null",
  };
  for (const auto& memory : cases) {
    const Json result = browser.run("memio.mapInto(" + memory + ", 0, region);");
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Misuse") << memory << result;
  }
  for (const std::string offset : {"-4096", "1", "4095", "49153", "53248", "65536", "2 ** 60", "NaN", "'0'", "{}"}) {
    const Json result = browser.run("memio.mapInto(fixed(1), " + offset + ", region);");
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Misuse") << offset << result;
  }
  for (const std::string wrong :
       {"{}", "null", "Object.create(region)", "(r => (r.close(), r))(await memio.open('t/wasm'))"}) {
    const Json result = browser.run("memio.mapInto(fixed(1), 0, " + wrong + ");");
    EXPECT_EQ(result.value("error", ""), "io.memio.client.Misuse") << wrong << result;
  }
  EXPECT_EQ(browser
                .run(R"js(
    globalThis.memory = fixed(1);
    globalThis.mapping = memio.mapInto(memory, 4096, region);
    memio.mapInto(memory, 8192, region);
  )js")
                .value("error", ""),
            "org.varlink.service.InvalidParameter")
      << "two mappings in one place";
  EXPECT_EQ(browser.run("memio.mapInto(memory, 4096 + 16384, region).unmap(); return 1;"), 1);
  EXPECT_EQ(browser.run("region.close(); mapping.unmap(); return 1;"), 1);
  EXPECT_EQ(browser.terminations(), 0);
}

// The memory is nobody's but the mapping's when the collector comes.
TEST_F(Wasm, AMemoryThatIsForgottenIsNotReused) {
  auto region = make_region("t/wasm", 1 << 20, 2);
  ASSERT_TRUE(publish(region, "true"));
  Browser browser(memio_.get());
  prepare(browser, "write");
  ASSERT_EQ(browser.run(R"js(
    for (let i = 0; i < 20; ++i) { const m = fixed(40); memio.mapInto(m, 0, region); m.grow(0); }
    return 1;
  )js"),
            1);
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(browser.run("for (let i = 0; i < 20; ++i) new Uint8Array(fixed(40).buffer).fill(88); return 1;"), 1);
  EXPECT_EQ(text_of(region), "true");
  EXPECT_EQ(browser.run("region.close(); return 1;"), 1);
  EXPECT_EQ(browser.run("for (let i = 0; i < 20; ++i) new Uint8Array(fixed(40).buffer).fill(88); return 1;"), 1);
  EXPECT_EQ(text_of(region), "true");
  EXPECT_EQ(browser.terminations(), 0);
}

}  // namespace

}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Bytes between native programs and pages, and that they are the same bytes.
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "webkit_test.h"

namespace memio::test {

namespace {

using Exchange = WebKitTest;

TEST_F(Exchange, APageReadsWhatANativeProgramPublished) {
  auto region = make_region("t/a");
  ASSERT_TRUE(publish(region, "hello", 7));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const Json seen = browser.run(R"js(
    const region = await memio.open('t/a');
    const snapshot = region.read();
    const result = { text: new TextDecoder().decode(snapshot.data.slice()), version: snapshot.version,
      big: String(snapshot.versionBigInt), sequence: snapshot.sequence, length: snapshot.length,
      name: region.name, access: region.access, now: [region.sequence, region.version], capacity: region.info.capacity };
    snapshot.release();
    return result;
  )js");
  EXPECT_EQ(seen, Json::parse(R"({"text": "hello", "version": 7, "big": "7", "sequence": 1, "length": 5, "name": "t/a",
                                  "access": "read", "now": [1, 7], "capacity": 4096})"));
}

// The page makes its view once; what changes in it afterwards can only come through the memory.
TEST_F(Exchange, TheArrayBufferIsTheRegionItself) {
  auto region = make_region("t/same");
  ASSERT_TRUE(publish(region, "A"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/same', {access: 'write'});
    globalThis.view = region.read().data;
    return view[0];
  )js"),
            'A');
  auto other = client_.open("t/same", Access::write);
  ASSERT_TRUE(other);
  const auto snapshot = other->read();
  ASSERT_TRUE(snapshot);
  auto* byte = const_cast<std::byte*>(snapshot->data().data());
  // This client mapped its write handle for writing, so the test may store where a reader would only look.
  *byte = std::byte{'B'};
  EXPECT_EQ(browser.run("return view[0];"), 'B');
  EXPECT_EQ(browser.run("view[0] = 67; return view[0];"), 'C');
  EXPECT_EQ(*byte, std::byte{'C'});
}

// What the web process has mapped at the region's file, as the kernel tells it.
TEST_F(Exchange, TheWebProcessHasTheRegionsFileMapped) {
  auto region = make_region("t/maps", 1 << 20);
  struct stat file {};
  ASSERT_EQ(::fstat(region.file_descriptor(), &file), 0);
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  const auto mappings = [&] {
    int count = 0;
    for (const pid_t pid : Browser::web_processes()) {
      std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
      for (std::string line; std::getline(maps, line);) {
        std::istringstream fields(line);
        std::string addresses, rights, offset, device;
        ino_t inode = 0;
        fields >> addresses >> rights >> offset >> device >> inode;
        // The library's own mapping of a write handle is shared too, so the alias is what there is besides it.
        if (inode == file.st_ino && rights.starts_with("rw-s")) ++count;
      }
    }
    return count;
  };
  EXPECT_EQ(mappings(), 0);
  ASSERT_EQ(browser.run("globalThis.region = await memio.open('t/maps', {access: 'write'}); return region.closed;"),
            false);
  EXPECT_EQ(mappings(), 2) << "the library's mapping, and the one under the ArrayBuffer";
  ASSERT_EQ(browser.run("region.close(); return region.closed;"), true);
  EXPECT_EQ(mappings(), 0);
}

TEST_F(Exchange, ANativeProgramReadsWhatAPageWrote) {
  auto region = make_region("t/w");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/w', {access: 'write'});
    return region.write(new TextEncoder().encode('from the page'), {version: 2n ** 63n + 5n});
  )js"),
            1);
  auto snapshot = region.read();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(text_of(region), "from the page");
  EXPECT_EQ(snapshot->version(), (std::uint64_t{1} << 63) + 5);
  EXPECT_EQ(browser.run(R"js(
    const place = region.begin(3);
    place.set([120, 121, 122]);
    return [region.commit({version: 9}), region.version, region.write(new Uint16Array([0x4241]).buffer), region.version];
  )js"),
            Json::parse("[2, 9, 3, 10]"));
  EXPECT_EQ(text_of(region), "AB");
  EXPECT_EQ(browser.run("region.begin(1); region.abort(); return region.sequence;"), 3);
  EXPECT_TRUE(publish(region, "the lock is free"));
}

TEST_F(Exchange, AClassicRegionIsCopiedWhole) {
  auto region = make_region("t/classic", 64, 1);
  ASSERT_TRUE(publish(region, "one"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  EXPECT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/classic');
    globalThis.kept = region.read();
    return new TextDecoder().decode(kept.data);
  )js"),
            "one");
  ASSERT_TRUE(publish(region, "two"));
  EXPECT_EQ(browser.run("return [kept.data, region.read().data].map(d => new TextDecoder().decode(d));"),
            Json::parse(R"(["one", "two"])"));
}

TEST_F(Exchange, ChangeEventsComeWithPublishes) {
  auto region = make_region("t/change");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/change');
    globalThis.seen = [];
    region.addEventListener('change', () => { const s = region.read(); seen.push(s.version); s.release(); });
    return seen.length;
  )js"),
            0);
  for (std::uint64_t version = 1; version <= 3; ++version) {
    ASSERT_TRUE(publish(region, "x", version));
    EXPECT_TRUE(run_until([&] { return browser.run("return seen.at(-1) ?? 0;") == version; })) << version;
  }
}

// The compiler must not take the loads of a read-only region for constant, nor turn them into stores that break the
// mapping off.
TEST_F(Exchange, AReadOnlyRegionIsFollowedByHotCode) {
  auto region = make_region("t/hot");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run(R"js(
    globalThis.region = await memio.open('t/hot');
    let sum = 0;
    for (let i = 0; i < 2e6; ++i) sum += region.sequence;
    for (let i = 0; i < 2e5; ++i) { const s = region.read(); sum += s.length; s.release(); }
    return sum;
  )js"),
            0);
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(publish(region, std::string(static_cast<std::size_t>(i), 'x')));
    EXPECT_EQ(browser.run("const s = region.read(); s.release(); return [region.sequence, s.length];"),
              Json::array({i, i}));
  }
}

// The same within one loop that never leaves JavaScript: nothing but the loads themselves can show it what is new.
TEST_F(Exchange, ALoopThatSpinsSeesPublishes) {
  auto region = make_region("t/spin");
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(browser.run("globalThis.region = await memio.open('t/spin'); return region.sequence;"), 0);
  const auto outcome = browser.start(R"js(
    const spin = (milliseconds) => {
      let seen = 0, last = 0;
      const end = performance.now() + milliseconds;
      while (performance.now() < end)
        for (let i = 0; i < 1e6; ++i) {
          const now = region.sequence;
          if (now !== last) { ++seen; last = now; if (i > 0) ++within; }
        }
      return seen;
    };
    let within = 0;
    const seen = spin(1500);
    return {seen, within};
  )js");
  std::uint64_t published = 0;
  ASSERT_TRUE(run_until([&] {
    if (publish(region, "x")) ++published;
    return outcome->done;
  }));
  // `within`: seen in the middle of the inner loop, which has no call in it that a compiler must respect.
  EXPECT_GT(published, 20U);
  EXPECT_GT(outcome->value.value("within", 0U), published / 2) << outcome->value << " of " << published;
}

TEST_F(Exchange, LeasesKeepWritersOffAndReleasingLetsThemIn) {
  auto region = make_region("t/lease", 16, 2);
  region.set_write_timeout(std::chrono::milliseconds(0));
  ASSERT_TRUE(publish(region, "first"));
  Browser browser(memio_.get());
  ASSERT_TRUE(browser.load_html());
  ASSERT_EQ(
      browser.run(
          "globalThis.region = await memio.open('t/lease'); globalThis.kept = region.read(); return kept.length;"),
      5);
  ASSERT_TRUE(publish(region, "second"));
  const auto refused = publish(region, "third");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::busy);
  EXPECT_EQ(
      browser.run("const t = new TextDecoder().decode(kept.data.slice()); kept.release(); kept.release(); return t;"),
      "first");
  EXPECT_TRUE(publish(region, "third"));
}

}  // namespace

}  // namespace memio::test

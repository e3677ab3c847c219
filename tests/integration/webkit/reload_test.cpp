// SPDX-License-Identifier: MIT
// A thousand documents one after the other leave nothing behind, in any of the three processes.
#include <unistd.h>

#include <iostream>

#include "pages.h"
#include "support/process_use.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

// By then caches are full, lazily opened descriptors are open, and JavaScript's heap has taken its places.
constexpr int warm = 600;
constexpr int reloads = warm + 1000;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

std::ostream& operator<<(std::ostream& out, const ProcessUse& use) {
  return out << use.descriptors << " descriptors, " << use.mappings << " mappings, " << (use.resident >> 20)
             << " MiB resident";
}

// A page that uses memio and then loads itself again, a thousand times.
constexpr const char* reloading = R"html(<!doctype html><title>busy</title><script>
  const round = Number(sessionStorage.round ?? 0);
  (async () => {
    const region = await memio.open('t/life', {access: 'write'});
    const other = await memio.open('t/life');
    other.addEventListener('change', () => {});
    region.write(new Uint8Array([round & 255]));
    globalThis.kept = [region, other.read()];  // what nobody holds is closed some time
    sessionStorage.round = round + 1;
    const stop = round + 1 === WARM || round + 1 === RELOADS;
    if (stop) document.title = 'round ' + (round + 1); else location.reload();
  })().catch(e => { document.title = 'failed: ' + e; });
</script>)html";

class Reload : public WebKitTest {};

TEST_F(Reload, AThousandLeaveNothing) {
  GError* error = nullptr;
  ASSERT_TRUE(memio_webkit_allow(memio_.get(), "page://app", "t/**", MEMIO_WEBKIT_ALL, &error));
  auto region = make_region("t/life", std::size_t{1} << 20);
  Pages pages;
  std::string html = reloading;
  html.replace(html.find("WARM"), 4, std::to_string(warm));
  html.replace(html.find("RELOADS"), 7, std::to_string(reloads));
  pages.set("app/", html);
  Browser browser(memio_.get(), pages.serve());
  const auto title = [&] {
    const char* text = webkit_web_view_get_title(browser.view());
    return std::string(text ? text : "");
  };
  const auto run_to = [&](int round) {
    const auto over = [&] { return title() == "round " + std::to_string(round) || title().starts_with("failed"); };
    // However slow the machine is, it goes on.
    for (auto served = pages.served(); !run_until(over, 20s); served = pages.served())
      ASSERT_GT(pages.served(), served) << title();
    ASSERT_EQ(title(), "round " + std::to_string(round));
    // The page that stands has two handles and we have one.
    ASSERT_TRUE(wait_for_handles("t/life", 3));
  };

  ASSERT_TRUE(browser.load_uri("page://app/"));
  run_to(warm);
  if (HasFatalFailure()) return;
  const auto processes = Browser::web_processes();
  ASSERT_EQ(processes.size(), 1U);
  const pid_t page = processes.front();
  const ProcessUse page_before = use_of(page);
  const ProcessUse daemon_before = use_of(daemon_.pid());
  const ProcessUse own_before = use_of(::getpid());
  const auto mapped_before = Browser::memio_mappings();

  const auto began = std::chrono::steady_clock::now();
  browser.start("location.reload();");
  run_to(reloads);
  if (HasFatalFailure()) return;
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
  const ProcessUse page_after = use_of(page);
  const ProcessUse daemon_after = use_of(daemon_.pid());
  const ProcessUse own_after = use_of(::getpid());
  std::cout << reloads - warm << " reloads in " << took.count() << " s\n  web process: " << page_before << "\n  then "
            << page_after << "\n  memiod: " << daemon_before << "\n  then " << daemon_after
            << "\n  application: " << own_before << "\n  then " << own_after << std::endl;
  EXPECT_EQ(Browser::web_processes(), processes) << "all in one process, or nothing was counted";
  EXPECT_EQ(Browser::memio_mappings(), mapped_before);
  // JavaScript's heap and WebKit's caches come and go, by some 130 mappings; a leak would grow by one at each reload.
  const auto leak = static_cast<std::size_t>(reloads - warm) / 4;
  EXPECT_LT(page_after.descriptors, page_before.descriptors + leak);
  EXPECT_LT(page_after.mappings, page_before.mappings + leak)
      << "the kernel joins what was put back to what is around it";
  EXPECT_LE(daemon_after.descriptors, daemon_before.descriptors);
  EXPECT_LT(own_after.descriptors, own_before.descriptors + leak);
  EXPECT_LE(daemon_after.resident, daemon_before.resident + mib);
  // A leak of one region's slots each time would be 1000 times 4 MiB; of its pages that were touched, some MiB.
  EXPECT_LE(page_after.resident, page_before.resident + 40 * mib);
  EXPECT_EQ(browser.terminations(), 0);
}

}  // namespace

}  // namespace memio::test

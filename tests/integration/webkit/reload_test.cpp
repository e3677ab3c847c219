// SPDX-License-Identifier: MIT
// A thousand documents one after the other leave nothing behind, in any of the three processes.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "pages.h"
#include "webkit_test.h"

namespace memio::test {

namespace {

// By then caches are full, lazily opened descriptors are open, and JavaScript's heap has taken its places.
constexpr int warm = 600;
constexpr int reloads = warm + 1000;

struct Use {
  std::size_t fds = 0;
  std::size_t mappings = 0;
  std::size_t resident = 0;  // MiB
};

Use use_of(pid_t pid) {
  const auto proc = "/proc/" + std::to_string(pid);
  Use use;
  for ([[maybe_unused]] const auto& fd : std::filesystem::directory_iterator(proc + "/fd")) ++use.fds;
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) ++use.mappings;
  std::ifstream statm(proc + "/statm");
  std::size_t pages = 0;
  statm >> pages >> pages;
  use.resident = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) >> 20;
  return use;
}

std::ostream& operator<<(std::ostream& out, const Use& use) {
  return out << use.fds << " descriptors, " << use.mappings << " mappings, " << use.resident << " MiB resident";
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
    ASSERT_TRUE(run_until(over, 60s)) << title() << ", " << pages.served() << " pages served";
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
  const Use page_before = use_of(page);
  const Use daemon_before = use_of(daemon_.pid());
  const Use own_before = use_of(::getpid());
  const auto mapped_before = Browser::memio_mappings();

  const auto began = std::chrono::steady_clock::now();
  browser.start("location.reload();");
  run_to(reloads);
  if (HasFatalFailure()) return;
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
  const Use page_after = use_of(page);
  const Use daemon_after = use_of(daemon_.pid());
  const Use own_after = use_of(::getpid());
  std::cout << reloads - warm << " reloads in " << took.count() << " s\n  web process: " << page_before << "\n  then "
            << page_after << "\n  memiod: " << daemon_before << "\n  then " << daemon_after
            << "\n  application: " << own_before << "\n  then " << own_after << std::endl;
  EXPECT_EQ(Browser::web_processes(), processes) << "all in one process, or nothing was counted";
  EXPECT_EQ(Browser::memio_mappings(), mapped_before);
  // JavaScript's heap and WebKit's caches come and go, by some 130 mappings; a leak would grow by one at each reload.
  const auto leak = static_cast<std::size_t>(reloads - warm) / 4;
  EXPECT_LT(page_after.fds, page_before.fds + leak);
  EXPECT_LT(page_after.mappings, page_before.mappings + leak)
      << "the kernel joins what was put back to what is around it";
  EXPECT_LE(daemon_after.fds, daemon_before.fds);
  EXPECT_LT(own_after.fds, own_before.fds + leak);
  EXPECT_LE(daemon_after.resident, daemon_before.resident + 1);
  // A leak of one region's slots each time would be 1000 times 4 MiB; of its pages that were touched, some MiB.
  EXPECT_LE(page_after.resident, page_before.resident + 40);
  EXPECT_EQ(browser.terminations(), 0);
}

}  // namespace

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#include "webkit_test.h"

#include "support/fd_leak_check.h"

namespace memio::test {

void WebKitTest::SetUpTestSuite() {
#ifdef MEMIO_WEBKIT_6
  gtk_init();
#else
  gtk_init(nullptr, nullptr);
#endif
}

WebKitTest::WebKitTest() : client_(daemon_.connect()), memio_(memio_webkit_new()) {
  memio_webkit_set_socket_path(memio_.get(), daemon_.socket_path().c_str());
  GError* error = nullptr;
  const auto all = MEMIO_WEBKIT_ALL;
  if (!memio_webkit_allow(memio_.get(), "https://app.local", "t/**", all, &error))
    throw std::runtime_error(error->message);
  count_descriptors();
}

void WebKitTest::count_descriptors() {
  EXPECT_TRUE(client_.list());  // once this is answered, memiod has settled
  daemon_fds_ = daemon_.open_fds();
}

WebKitTest::~WebKitTest() {
  EXPECT_EQ(Browser::all_terminations() - terminations_before_, expected_terminations_) << "a web process has crashed";
  const auto regions = client_.list();
  if (!regions) return;  // a test that ended its memiod
  for (const auto& region : *regions) EXPECT_TRUE(client_.remove(region.name));
  EXPECT_TRUE(run_until([&] { return daemon_.open_fds() <= daemon_fds_; }))
      << "memiod has " << daemon_.open_fds() << " descriptors open, " << daemon_fds_ << " before";
  for (const auto& [fd, file] : open_fds()) EXPECT_EQ(file.find("memfd:memio"), std::string::npos) << fd << ' ' << file;
}

Region WebKitTest::make_region(const std::string& name, std::uint64_t capacity, unsigned slots) {
  auto region = client_.create(name, {.capacity = capacity, .slots = slots});
  if (!region) throw std::runtime_error(region.error().text());
  return std::move(*region);
}

std::uint64_t WebKitTest::handles(const std::string& name) {
  const auto state = client_.stat(name);
  if (!state) throw std::runtime_error(state.error().text());
  return state->region.handles;
}

bool WebKitTest::wait_for_handles(const std::string& name, std::uint64_t count) {
  return run_until([&] { return handles(name) == count; });
}

Result<std::uint64_t> publish(Region& region, std::string_view text, std::optional<std::uint64_t> version) {
  return region.write(std::as_bytes(std::span(text)), version);
}

std::string text_of(Region& region) {
  const auto snapshot = region.read();
  if (!snapshot) return snapshot.error().text();
  return {reinterpret_cast<const char*>(snapshot->data().data()), snapshot->data().size()};
}

}  // namespace memio::test

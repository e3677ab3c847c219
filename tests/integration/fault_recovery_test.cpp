// SPDX-License-Identifier: MIT
// The system has no memory, no descriptor or no room left just when one memiod goes on where another was: at each call
// of either that can say so. It may not succeed then; but nothing is lost, and the next one has it all.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "support/bytes.h"
#include "support/daemon.h"
#include "support/manager.h"
#include "support/shared_faults.h"

namespace memio::test {
namespace {

constexpr int most_calls = 500;

Client connect_to(const std::string& path) {
  auto client = Client::connect(path);
  if (!client) throw std::runtime_error(client.error().text());
  return std::move(*client);
}

// One that nobody has open: only memiod can bring it back.
void create_kept(const std::string& path, const std::string& name) {
  auto client = connect_to(path);
  auto region = client.create(name, {.capacity = 64, .lifetime = Lifetime::persistent});
  ASSERT_TRUE(region) << region.error().text();
  ASSERT_TRUE(region->write(bytes(name), 41));
}

void expect_kept(Client& client, const std::string& name) {
  auto region = client.open(name, Access::write);
  ASSERT_TRUE(region) << region.error().text();
  const auto snapshot = region->read();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(text(snapshot->data()), name);
  EXPECT_EQ(snapshot->version(), 41U);
}

class RestoreFault : public SharedFaults, public testing::TestWithParam<int> {
 protected:
  Manager manager_{environment()};
};

// One that cannot bring something back ends, and its manager starts another.
TEST_P(RestoreFault, EverythingComesBack) {
  create_kept(manager_.socket_path(), "first");
  create_kept(manager_.socket_path(), "second");
  constexpr std::size_t all = 7;
  for (const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
       manager_.stored() != all && std::chrono::steady_clock::now() < limit;)
    manager_.pump();
  int call = 0;
  for (std::string failed = "nothing yet"; !failed.empty();) {
    ASSERT_LT(++call, most_calls);
    manager_.kill();
    fail_at(call, GetParam());
    const bool started = manager_.try_start();
    failed = stop();
    SCOPED_TRACE("call " + std::to_string(call) + ", " + failed);
    if (!started) manager_.start();
    EXPECT_TRUE(started || !failed.empty());
    auto client = connect_to(manager_.socket_path());
    expect_kept(client, "first");
    expect_kept(client, "second");
    manager_.pump();
    ASSERT_EQ(manager_.stored(), all);
    if (HasFailure()) return;
  }
  EXPECT_GT(call, 1) << "nothing could fail";
  EXPECT_EQ(manager_.stop(), 0);
}

const auto errors = testing::Values(ENOMEM, EMFILE, ENOSPC);
constexpr auto name_of = [](const auto& parameter) { return error_name(parameter.param); };
INSTANTIATE_TEST_SUITE_P(Errors, RestoreFault, errors, name_of);

}  // namespace
}  // namespace memio::test

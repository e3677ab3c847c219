// SPDX-License-Identifier: MIT
// The system has no memory, no descriptor or no room left, at each call of memiod that can say so: whoever asked is
// told, or served after all; memiod goes on, nothing leaks, and what was there before is untouched.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>

#include "support/bytes.h"
#include "support/charges.h"
#include "support/daemon.h"
#include "support/failing_calls.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

// A file that two processes share.
class SharedFaults {
 public:
  SharedFaults() {
    std::ofstream(path()) << std::string(sizeof(Faults), '\0');
    const UniqueFd fd(::open(path().c_str(), O_RDWR | O_CLOEXEC));
    void* data = ::mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (data == MAP_FAILED) throw std::runtime_error("cannot map the faults");
    faults_ = static_cast<Faults*>(data);
  }
  ~SharedFaults() { ::munmap(faults_, sizeof(Faults)); }
  SharedFaults(const SharedFaults&) = delete;
  SharedFaults& operator=(const SharedFaults&) = delete;

  [[nodiscard]] std::string path() const { return directory_.path() + "/faults"; }
  void fail_at(int call, int error) {
    faults_->failed = {};
    faults_->error = error;
    faults_->countdown = call;
  }
  // Nothing fails any more. The name of the call that failed; empty if it never came to it.
  std::string stop() {
    faults_->countdown = 0;
    return faults_->failed.data();
  }

 private:
  TemporaryDirectory directory_;
  Faults* faults_ = nullptr;
};

class Fault : private SharedFaults, public DaemonTest, public testing::WithParamInterface<int> {
 protected:
  Fault() : DaemonTest({}, {{"LD_PRELOAD", FAILING_CALLS}, {"MEMIO_FAULTS", path()}}) {}

  Client bystander_ = daemon_.connect();
  Region region_ = std::move(*bystander_.create("bystander", {.capacity = 16}));

  void SetUp() override { ASSERT_TRUE(region_.write(bytes("untouched"))); }

  // Until all that others had is given back.
  void expect_nothing_left(const Charges& before, std::size_t fds_before, const std::string& what) {
    for (int i = 0; i < 1000 && (daemon_.open_fds() != fds_before || charges_by(bystander_) != before); ++i) {
    }
    EXPECT_EQ(daemon_.open_fds(), fds_before) << what;
    EXPECT_EQ(charges_by(bystander_), before) << what;
    EXPECT_EQ(text(region_.read()->data()), "untouched");
  }

  // Lets one call after the other fail while a client does something, which returns the error it met.
  template <class Act>
  void fail_each(Act act) {
    ASSERT_TRUE(bystander_.list());
    const auto before = charges_by(bystander_);
    const auto fds_before = daemon_.open_fds();
    std::vector<std::string> failed;
    for (int call = 1; call < 200; ++call) {
      fail_at(call, GetParam());
      const Result<void> result = act();
      const auto name = stop();
      SCOPED_TRACE("call " + std::to_string(call) + ", " + name);
      if (!result) {
        EXPECT_THAT(result.error().code, testing::AnyOf(Errc::out_of_resources, Errc::disconnected, Errc::system))
            << result.error().text();
      }
      expect_nothing_left(before, fds_before, name);
      if (name.empty()) {
        EXPECT_TRUE(result) << result.error().text();
        EXPECT_GT(failed.size(), 0U) << "nothing could fail";
        return;
      }
      failed.push_back(name);
    }
    FAIL() << "it never ends";
  }

  template <class T>
  static Result<void> only_error(const Result<T>& result) {
    if (!result) return fail(result.error());
    return {};
  }
  Result<Client> connect() { return Client::connect(daemon_.socket_path()); }
};

TEST_P(Fault, Create) {
  fail_each([&]() -> Result<void> {
    auto client = connect();
    if (!client) return fail(client.error());
    return only_error(client->create("new", {.capacity = 1000}));
  });
}

TEST_P(Fault, CreateAnExclusiveRegion) {
  fail_each([&]() -> Result<void> {
    auto client = connect();
    if (!client) return fail(client.error());
    return only_error(client->create("new", {.capacity = 1000, .exclusive = true}));
  });
}

TEST_P(Fault, CreateARegionThatIsShrunk) {
  fail_each([&]() -> Result<void> {
    auto client = connect();
    if (!client) return fail(client.error());
    return only_error(client->create("new", {.capacity = 1000, .shrink_after = std::chrono::hours(1)}));
  });
}

TEST_P(Fault, OpenForReadingAndForWriting) {
  for (const auto access : {Access::read, Access::write})
    fail_each([&]() -> Result<void> {
      auto client = connect();
      if (!client) return fail(client.error());
      return only_error(client->open("bystander", access));
    });
}

TEST_P(Fault, WatchAndScopedConnections) {
  fail_each([&]() -> Result<void> {
    auto client = connect();
    if (!client) return fail(client.error());
    auto watcher = client->watch({}, true);
    if (!watcher) return fail(watcher.error());
    for (;;) {
      auto event = watcher->wait(std::chrono::seconds(20));
      if (!event) return fail(event.error());
      if (event->kind == EventKind::ready) return {};
    }
  });
}

TEST_P(Fault, Metrics) {
  fail_each([&]() -> Result<void> {
    auto client = connect();
    if (!client) return fail(client.error());
    return only_error(client->metrics());
  });
}

INSTANTIATE_TEST_SUITE_P(Errors, Fault, testing::Values(ENOMEM, EMFILE, ENOSPC), [](const auto& parameter) {
  return parameter.param == ENOMEM ? std::string("ENOMEM") : parameter.param == EMFILE ? "EMFILE" : "ENOSPC";
});

}  // namespace
}  // namespace memio::test

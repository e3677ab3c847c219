// SPDX-License-Identifier: MIT
// The system has no memory, no descriptor or no room left, at each call of memiod that can say so: whoever asked is
// told, or served after all; memiod goes on, nothing leaks, and what was there before is untouched.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "support/becomes.h"
#include "support/bytes.h"
#include "support/charges.h"
#include "support/daemon.h"
#include "support/notifications.h"
#include "support/raw_connection.h"
#include "support/shared_faults.h"
#include "support/shown_region.h"

namespace memio::test {
namespace {

class Fault : protected SharedFaults, public DaemonTest, public testing::WithParamInterface<int> {
 protected:
  Fault() : DaemonTest({}, environment()) {}

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
  enum class Leaves { nothing, what_it_made };
  template <class Act>
  void fail_each(Act act, Leaves leaves = Leaves::nothing) {
    ASSERT_TRUE(bystander_.list());
    auto before = charges_by(bystander_);
    auto fds_before = daemon_.open_fds();
    std::vector<std::string> failed;
    for (int call = 1; call < 200; ++call) {
      fail_at(call, GetParam());
      const Result<void> result = act();
      const auto name = stop();
      SCOPED_TRACE("call " + std::to_string(call) + ", " + name);
      if (!result) {
        EXPECT_THAT(result.error().code, testing::AnyOf(Errc::out_of_resources, Errc::disconnected, Errc::system,
                                                        Errc::handler_gone, Errc::command_failed))
            << result.error().text();
      }
      if (result && leaves == Leaves::what_it_made) {
        ++before["regions"];
        ++before["user_regions"];
        before["user_region_bytes"] += ShownRegion().geometry.total_size();
        fds_before += ShownRegion().fds().size();
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
  // What an answer says; no answer: the connection was closed.
  static Result<void> error_of(const std::optional<Reply>& reply) {
    if (!reply) return fail(Errc::disconnected, "the connection was closed");
    if (!reply->error.empty()) return fail(to_error(*reply));
    return {};
  }
  static Result<void> start_receiving(RawConnection& raw, const Json& parameters) {
    return error_of(raw.ask(Json{{"method", "io.memio.Receive"}, {"more", true}, {"parameters", parameters}}.dump()));
  }
  // Waits until one of them has something to say, or was closed; whether that is the first.
  static bool says_something_first(const RawConnection& one, const RawConnection& other) {
    constexpr int longest = 20'000;
    std::array<pollfd, 2> waiting = {{{one.fd(), POLLIN, 0}, {other.fd(), POLLIN, 0}}};
    EXPECT_GT(::poll(waiting.data(), waiting.size(), longest), 0) << "nobody is told of what failed";
    return waiting[0].revents != 0;
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

// What was adopted stays for others to claim, so it is there from then on.
TEST_P(Fault, Attach) {
  int count = 0;
  fail_each(
      [&]() -> Result<void> {
        const ShownRegion shown;
        RawConnection raw(daemon_.socket_path());
        const auto name = "shown" + std::to_string(++count);
        return error_of(raw.ask(ShownRegion::call({{"name", name}, {"lifetime", "persistent"}}), shown.fds()));
      },
      Leaves::what_it_made);
}

// The call and its answer have a descriptor each.
TEST_P(Fault, InvokeAndAnswer) {
  const UniqueFd other(::eventfd(0, EFD_CLOEXEC));
  fail_each([&]() -> Result<void> {
    RawConnection handler(daemon_.socket_path());
    if (auto ready = start_receiving(handler, {{"handle", {"c"}}}); !ready) return ready;
    RawConnection caller(daemon_.socket_path());
    caller.send(std::string(R"({"method":"io.memio.Invoke","parameters":{"name":"c","fileDescriptors":[0]}})") + '\0',
                {other.get()});
    if (!says_something_first(handler, caller)) return error_of(caller.receive());
    const auto call = handler.receive();
    if (auto delivered = error_of(call); !delivered) return delivered;
    handler.send(Json{{"method", "io.memio.Answer"},
                      {"oneway", true},
                      {"parameters", {{"id", call->parameters.at("id")}, {"result", 1}, {"fileDescriptors", {0}}}}}
                         .dump() +
                     '\0',
                 {other.get()});
    return error_of(caller.receive());
  });
}

TEST_P(Fault, EmitAndReceive) {
  fail_each([&]() -> Result<void> {
    RawConnection listener(daemon_.socket_path());
    if (auto ready = start_receiving(listener, {{"listen", {"t"}}}); !ready) return ready;
    RawConnection emitter(daemon_.socket_path());
    if (auto told = error_of(emitter.ask(R"({"method":"io.memio.Emit","parameters":{"topic":"t","payload":1}})"));
        !told)
      return told;
    return error_of(listener.receive());
  });
}

// Whatever fails when a client shows what it has to a memiod that knows nothing of it, it tries again.
TEST_P(Fault, RegionsThatTheirClientsBringBack) {
  std::array<Event, 4> events;
  int call = 0;
  for (std::string failed = "nothing yet"; !failed.empty();) {
    static constexpr int most_calls = 200;
    ASSERT_LT(++call, most_calls);
    daemon_.kill();
    daemon_.start();
    fail_at(call, GetParam());
    const bool back = becomes([&] {
      bystander_.dispatch(events);
      const auto state = bystander_.stat("bystander");
      return state && state->region.handles == 1;
    });
    failed = stop();
    ASSERT_TRUE(back) << "call " << call << ", " << failed;
    EXPECT_EQ(text(region_.read()->data()), "untouched");
  }
  EXPECT_GT(call, 1) << "nothing could fail";
}

// A file that could not be seen, or not be read, is not taken for one that is not there.
class ReloadFault : protected SharedFaults, public testing::TestWithParam<int> {
 protected:
  TemporaryDirectory runtime_;
  Notifications notifications_{runtime_.path() + "/notify"};

  [[nodiscard]] Process::Environment environment() const {
    auto environment = SharedFaults::environment();
    environment.emplace_back("NOTIFY_SOCKET", notifications_.path());
    environment.emplace_back("XDG_CONFIG_HOME", runtime_.path());
    return environment;
  }
  void write_config(const std::string& path, int message_bytes) const {
    const auto file = std::filesystem::path(runtime_.path()) / "memio" / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << R"({"limits":{"messageBytes":)" << message_bytes << "}}";
  }
};

TEST_P(ReloadFault, KeepsWhatIsSaidOrTakesOverAll) {
  write_config("memiod.conf", 50'000);
  write_config("memiod.conf.d/10.conf", 8'192);
  const auto path = runtime_.path() + "/s";
  auto process = Process::run({MEMIOD_PATH, "--socket", path, "--log-level", "error"}, environment());
  ASSERT_TRUE(notifications_.wait_for("READY=1"));
  RawConnection client(path);
  const auto open = [&] { return client.ask(R"({"method":"io.memio.OpenConnection","parameters":{}})"); };
  ASSERT_TRUE(open()) << "memiod has taken the connection";
  std::string failed;
  int call = 0;
  do {
    fail_at(++call, GetParam());
    process.signal(SIGHUP);
    ASSERT_TRUE(notifications_.wait_for("READY=1"));
    failed = stop();
    const auto opened = open();
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->parameters.at("messageBytes"), 8'192) << call << ", " << failed;
  } while (!failed.empty());
  EXPECT_GT(call, 3) << "the directory and both files";
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Errors, ReloadFault, testing::Values(ENOMEM, EMFILE, ENOSPC),
                         [](const auto& parameter) { return error_name(parameter.param); });
INSTANTIATE_TEST_SUITE_P(Errors, Fault, testing::Values(ENOMEM, EMFILE, ENOSPC),
                         [](const auto& parameter) { return error_name(parameter.param); });

}  // namespace
}  // namespace memio::test

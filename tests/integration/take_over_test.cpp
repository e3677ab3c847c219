// SPDX-License-Identifier: MIT
// memiod --takeover: one memiod goes on where another was, without systemd.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "memio/region_format.h"
#include "support/bytes.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

class TakeOver : public testing::Test {
 protected:
  [[nodiscard]] Process start(const std::vector<std::string>& more = {}) const { return start_unmanaged(path_, more); }
  // As soon as there is one.
  [[nodiscard]] Client connect() const {
    auto client = Client::connect(path_);
    while (!client) client = Client::connect(path_);
    return std::move(*client);
  }

  TemporaryDirectory runtime_;
  std::string path_ = runtime_.path() + "/s";
  Process first_ = start();
};

TEST_F(TakeOver, EverythingGoesOn) {
  auto client = connect();
  std::vector<Region> regions;
  for (const auto lifetime : {Lifetime::session, Lifetime::linger, Lifetime::persistent}) {
    auto region = client.create("r" + std::to_string(regions.size()), {.capacity = 64, .lifetime = lifetime});
    ASSERT_TRUE(region->write(bytes("kept"), 41));
    regions.push_back(std::move(*region));
  }
  ASSERT_TRUE(connect().create("unopened", {.capacity = 64, .lifetime = Lifetime::persistent}));
  auto lease = regions[0].read();
  auto second = start({"--takeover"});
  EXPECT_EQ(first_.wait(), 0) << "the first has ended";
  auto newcomer = connect();
  for (const auto& region : regions) {
    const auto state = newcomer.stat(region.info().name);
    ASSERT_TRUE(state) << state.error().text();
    EXPECT_EQ(state->region.generation, region.info().generation);
    EXPECT_EQ(state->region.lifetime, region.info().lifetime);
    EXPECT_EQ(state->version, 41U);
  }
  EXPECT_TRUE(newcomer.open("unopened", Access::write)) << "known to no client";
  ASSERT_TRUE(client.list()) << "the client finds the second by itself";
  EXPECT_EQ(newcomer.stat("r0")->region.handles, 1U);
  ASSERT_TRUE(regions[0].write(bytes("new")));
  EXPECT_EQ(text(lease->data()), "kept") << "the lease held throughout";

  auto third = start({"--takeover"});
  EXPECT_EQ(second.wait(), 0);
  EXPECT_EQ(connect().stat("r2")->version, 41U);
  third.signal(SIGTERM);
  EXPECT_EQ(third.wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_)) << "the socket is the last one's to remove";
}

TEST_F(TakeOver, AThousandRegionsAreHandedOver) {
  auto client = connect();
  std::vector<Region> regions;
  for (int i = 0; i < 1000; ++i) {
    auto region = client.create("r" + std::to_string(i), {.capacity = 64});
    ASSERT_TRUE(region) << region.error().text();
    regions.push_back(std::move(*region));
  }
  const auto second = start({"--takeover"});
  EXPECT_EQ(first_.wait(), 0);
  EXPECT_EQ(connect().list()->size(), 1000U);
}

constexpr auto call = R"({"method":"io.memio.TakeOver","more":true,"parameters":{"version":1}})";

TEST_F(TakeOver, OneThatDoesNotCommitChangesNothing) {
  auto client = connect();
  auto region = client.create("a", {.capacity = 64});
  ASSERT_TRUE(region);
  {
    RawConnection successor(path_);
    auto reply = successor.ask(call);
    while (reply && reply->continues) reply = successor.receive();
    ASSERT_TRUE(reply);
    EXPECT_FALSE(reply->parameters.contains("name"));
  }
  EXPECT_TRUE(client.stat("a"));
  EXPECT_TRUE(client.create("b", {.capacity = 64}));
  {
    RawConnection successor(path_);
    auto reply = successor.ask(call);
    while (reply && reply->continues) reply = successor.receive();
    EXPECT_TRUE(successor.send(std::string(R"({"method":"io.memio.List"})") + '\0'));
  }
  EXPECT_TRUE(client.stat("a")) << "the same connection";
}

TEST_F(TakeOver, IsNotForEverybody) {
  auto client = connect();
  RawConnection scoped(std::move(*client.open_connection(std::vector<Grant>{{"**", {Right::read}}})));
  EXPECT_EQ(scoped.ask(call)->error, "io.memio.PermissionDenied");
  RawConnection raw(path_);
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.TakeOver","parameters":{"version":1}})")->error,
            "org.varlink.service.ExpectedMore");
  EXPECT_EQ(raw.ask(R"({"method":"io.memio.TakeOver","more":true,"parameters":{"version":0}})")->error,
            "org.varlink.service.InvalidParameter");
  EXPECT_TRUE(client.list());
}

// A session region of which two handles are known: the creator's in cell 1, another's in cell 2.
class TakeOverOfASessionRegion : public TakeOver {
 protected:
  static constexpr std::uint32_t cells = 16;

  static UniqueFd make_memfd(std::uint64_t size, const void* data, std::size_t length, std::uint64_t offset) {
    UniqueFd fd(::memfd_create("shown", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    EXPECT_EQ(::pwrite(fd.get(), data, length, static_cast<off_t>(offset)), static_cast<ssize_t>(length));
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
  }
  void SetUp() override {
    format::Directory directory{};
    format::initialise_directory(directory, geometry_);
    region_ = make_memfd(geometry_.total_size(), &directory, sizeof directory, geometry_.directory_offset());
    const std::uint32_t used = 3;
    leases_ = make_memfd(format::lease_table_size(cells), &used, sizeof used, offsetof(format::LeaseTable, cells_used));
    EXPECT_TRUE(connect().list());  // memiod is there
  }
  // The error, if any, of claiming a cell and saying that it is the creator's.
  [[nodiscard]] std::string attach_as_creator(RawConnection& raw, int cell) const {
    const Json parameters = {{"name", "shown"},
                             {"capacity", 100},
                             {"slots", 4},
                             {"layout", "memio64"},
                             {"lifetime", "session"},
                             {"exclusive", false},
                             {"hugePages", false},
                             {"access", "write"},
                             {"creator", true},
                             {"cell", cell},
                             {"cells", cells},
                             {"regionFileDescriptor", 0},
                             {"leasesFileDescriptor", 1},
                             {"doorbellFileDescriptor", 2}};
    return raw
        .ask(Json{{"method", "io.memio.Attach"}, {"parameters", parameters}}.dump(),
             {region_.get(), leases_.get(), doorbell_.get()})
        .value()
        .error;
  }
  Geometry geometry_ = *Geometry::make(Layout::memio64, 4, 100);
  UniqueFd region_;
  UniqueFd leases_;
  UniqueFd doorbell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

TEST_F(TakeOverOfASessionRegion, OnlyTheCreatorsCellMakesOneItsCreatorAgain) {
  auto creator = std::make_optional<RawConnection>(path_);
  ASSERT_EQ(attach_as_creator(*creator, 1), "");
  const auto second = start({"--takeover"});
  ASSERT_EQ(first_.wait(), 0);
  auto client = connect();
  auto watcher = client.watch("shown", false);
  {
    RawConnection usurper(path_);
    ASSERT_EQ(attach_as_creator(usurper, 2), "");
  }
  for (std::uint64_t handles = 1; handles != 0;) {  // until memiod has heard of its end
    const auto state = client.stat("shown");
    ASSERT_TRUE(state) << state.error().text();
    handles = state->region.handles;
  }
  creator.emplace(path_);
  ASSERT_EQ(attach_as_creator(*creator, 1), "") << "the region has not gone with the other";
  creator.reset();
  std::vector<EventKind> told;
  while (told.empty() || told.back() != EventKind::removed) {
    const auto event = watcher->wait(std::chrono::seconds(4));  // less than the time for claims
    ASSERT_TRUE(event) << event.error().text();
    told.push_back(event->kind);
  }
  EXPECT_THAT(told, testing::ElementsAre(EventKind::present, EventKind::ready, EventKind::removed));
}

TEST_F(DaemonTest, OneThatAServiceManagerRunsIsRestartedThere) {
  auto client = daemon_.connect();
  RawConnection raw(daemon_.socket_path());
  const auto reply = raw.ask(call);
  EXPECT_EQ(reply->error, "io.memio.PermissionDenied");
  EXPECT_NE(reply->parameters["message"].get<std::string>().find("systemctl --user restart"), std::string::npos);
  EXPECT_TRUE(client.list());
}

TEST(TakeOverOfNothing, IsAnError) {
  const TemporaryDirectory runtime;
  auto process = Process::run({MEMIOD_PATH, "--takeover", "--socket", runtime.path() + "/s", "--log-level", "error"});
  EXPECT_EQ(process.wait(), 1);
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// The life of a region between two native programs.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "memio/region_format.h"
#include "support/bytes.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

using Regions = DaemonTest;

TEST_F(Regions, WhatOneProcessPublishesAnotherReads) {
  auto client = daemon_.connect();
  auto region = client.create("shared/state", {.capacity = 64});
  ASSERT_TRUE(region);
  ASSERT_TRUE(region->write(bytes("from the parent"), 42));
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    if (!other) return 1;
    auto opened = other->open("shared/state", Access::write);
    if (!opened) return 2;
    auto snapshot = opened->read();
    if (!snapshot || text(snapshot->data()) != "from the parent" || snapshot->version() != 42) return 3;
    return opened->write(bytes("from the child")) ? 0 : 4;
  });
  EXPECT_EQ(child.wait(), 0);
  auto snapshot = region->read();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(text(snapshot->data()), "from the child");
  EXPECT_EQ(snapshot->version(), 43U) << "the default is the latest version + 1";
  EXPECT_EQ(snapshot->sequence(), 2U);
}

TEST_F(Regions, TwoProcessesWakeEachOtherInTurns) {
  constexpr int rounds = 200;
  auto client = daemon_.connect();
  auto ping = client.create("ping", {.capacity = 16});
  auto pong = client.create("pong", {.capacity = 16});
  ASSERT_TRUE(ping && pong);
  auto child = Process::fork([&] {
    auto other = Client::connect(daemon_.socket_path());
    auto in = other->open("ping", Access::read);
    auto out = other->open("pong", Access::write);
    std::uint64_t seen = 0;
    for (int i = 0; i < rounds; ++i) {
      auto sequence = in->wait(seen, std::chrono::seconds(20));
      if (!sequence) return 1;
      seen = *sequence;
      if (!out->write(in->read()->data())) return 2;
    }
    return 0;
  });
  std::uint64_t seen = 0;
  for (int i = 0; i < rounds; ++i) {
    const auto message = std::to_string(i);
    ASSERT_TRUE(ping->write(bytes(message)));
    auto sequence = pong->wait(seen, std::chrono::seconds(20));
    ASSERT_TRUE(sequence) << sequence.error().text() << " in round " << i;
    seen = *sequence;
    EXPECT_EQ(text(pong->read()->data()), message);
  }
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Regions, ListAndStatTellWhatThereIs) {
  auto client = daemon_.connect();
  auto a = client.create("video/frames", {.capacity = 1000, .slots = 8, .lifetime = Lifetime::persistent});
  auto b = client.create("audio", {.capacity = 1, .slots = 1, .layout = Layout::memio24});
  ASSERT_TRUE(a && b);
  auto all = client.list();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].name, "audio");
  EXPECT_EQ((*all)[1].name, "video/frames");
  EXPECT_EQ(client.list("video/*")->size(), 1U);
  EXPECT_EQ(client.list("nothing/**")->size(), 0U);

  ASSERT_TRUE(a->write(bytes("frame"), 7));
  auto held = a->read();
  ASSERT_TRUE(held);
  auto state = client.stat("video/frames");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->region.slots, 8U);
  EXPECT_EQ(state->region.capacity, 1000U);
  EXPECT_EQ(state->region.lifetime, Lifetime::persistent);
  EXPECT_EQ(state->region.sequence, 1U);
  EXPECT_EQ(state->version, 7U);
  EXPECT_EQ(state->length, 5U);
  EXPECT_GT(state->memory, 0U);
  ASSERT_EQ(state->handle_states.size(), 1U);
  EXPECT_EQ(state->handle_states[0].pid, static_cast<std::uint64_t>(::getpid()));
  EXPECT_EQ(state->handle_states[0].access, Access::write);
  EXPECT_EQ(state->handle_states[0].leases.size(), 1U);
  EXPECT_FALSE(state->handle_states[0].writing);
  ASSERT_TRUE(a->begin(5));
  EXPECT_TRUE(client.stat("video/frames")->handle_states[0].writing);
}

TEST_F(Regions, UntouchedCapacityCostsNoMemory) {
  auto client = daemon_.connect();
  constexpr std::uint64_t capacity = std::uint64_t{8} << 30;
  auto region = client.create("huge", {.capacity = capacity, .slots = 16});
  ASSERT_TRUE(region) << region.error().text();
  ASSERT_TRUE(region->write(bytes("small")));
  EXPECT_LT(client.stat("huge")->memory, 64U << 10);
}

TEST_F(Regions, PublishInPlaceShowsOnlyAtCommit) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  ASSERT_TRUE(region->write(bytes("old")));
  auto payload = region->begin(3);
  ASSERT_TRUE(payload);
  std::ranges::copy(bytes("new"), payload->begin());
  EXPECT_EQ(text(region->read()->data()), "old");
  EXPECT_EQ(*region->commit(), 2U);
  EXPECT_EQ(text(region->read()->data()), "new");
}

TEST_F(Regions, RemovedRegionsStayWithThoseWhoHaveThem) {
  auto client = daemon_.connect();
  auto other = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  auto opened = other.open("a", Access::read);
  ASSERT_TRUE(client.remove("a"));
  EXPECT_EQ(other.open("a", Access::read).error().code, Errc::no_such_region);
  ASSERT_TRUE(region->write(bytes("still here")));
  EXPECT_EQ(text(opened->read()->data()), "still here");
  auto again = client.create("a", {.capacity = 16});
  ASSERT_TRUE(again);
  EXPECT_GT(again->info().generation, region->info().generation);
  EXPECT_EQ(again->read()->sequence(), 0U);
}

TEST_F(Regions, AClassicRegionIsWhatMemioTauriProgramsReadThroughProc) {
  auto client = daemon_.connect();
  for (const auto layout : {Layout::memio64, Layout::memio24}) {
    const std::uint64_t header = layout == Layout::memio64 ? 64 : 24;
    auto region =
        client.create(layout == Layout::memio64 ? "c64" : "c24", {.capacity = 100, .slots = 1, .layout = layout});
    ASSERT_TRUE(region);
    ASSERT_TRUE(region->write(bytes("classic"), 9));
    const auto path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(region->file_descriptor());
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file.valid());
    std::array<std::byte, 128> raw{};
    ASSERT_EQ(::pread(file.get(), raw.data(), raw.size(), 0), static_cast<ssize_t>(raw.size()));
    std::array<std::uint64_t, 3> fields{};
    std::memcpy(fields.data(), raw.data(), sizeof fields);
    EXPECT_EQ(fields[0], layout == Layout::memio64 ? 0x545552424F534852U : 0x4F425255545F4F54U);
    EXPECT_EQ(fields[1], 9U);
    EXPECT_EQ(fields[2], 7U);
    EXPECT_EQ(text(std::span(raw).subspan(header, 7)), "classic");
  }
}

TEST_F(Regions, SnapshotsOfAClassicRegionKeepTheirBytesWhileOthersAreRead) {
  auto client = daemon_.connect();
  auto region = client.create("c", {.capacity = 1 << 20, .slots = 1});
  ASSERT_TRUE(region->write(bytes("first")));
  auto first = region->read();
  ASSERT_TRUE(region->write(bytes(std::string(1 << 20, 'x'))));
  auto second = region->read();
  ASSERT_TRUE(second);
  EXPECT_EQ(text(first->data()), "first");
  EXPECT_EQ(second->data().size(), 1U << 20);
  first = region->read();
  EXPECT_EQ(first->data().size(), 1U << 20);
}

TEST_F(Regions, AReaderCannotMapItForWritingThroughItsDescriptor) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  auto reader = client.open("a", Access::read);
  ASSERT_TRUE(reader);
  void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader->file_descriptor(), 0);
  EXPECT_EQ(mapped, MAP_FAILED);
  EXPECT_EQ(reader->write(bytes("x")).error().code, Errc::read_only);
}

TEST_F(Regions, TheirSizeCanNeverChange) {
  auto client = daemon_.connect();
  auto region = client.create("a", {.capacity = 16});
  EXPECT_NE(::ftruncate(region->file_descriptor(), 0), 0);
  EXPECT_NE(::ftruncate(region->file_descriptor(), 1 << 20), 0);
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// An exclusive region: once it is sealed nobody but its creator can write it, by any road.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/bytes.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

class Exclusive : public DaemonTest {
 protected:
  Client creator_ = daemon_.connect();
  Client other_ = daemon_.connect();
  Region region_ = std::move(*creator_.create("mine", {.capacity = 100, .exclusive = true}));
};

TEST_F(Exclusive, ItsCreatorWritesAndOthersRead) {
  EXPECT_TRUE(region_.info().exclusive);
  auto reader = other_.open("mine", Access::read);
  ASSERT_TRUE(reader);
  for (const auto* text_written : {"one", "two"}) {
    ASSERT_TRUE(region_.write(bytes(text_written)));
    EXPECT_EQ(text(reader->read()->data()), text_written);
  }
}

TEST_F(Exclusive, NobodyElseMayOpenItForWriting) {
  EXPECT_EQ(other_.open("mine", Access::write).error().code, Errc::permission_denied);
  EXPECT_EQ(creator_.open("mine", Access::write).error().code, Errc::permission_denied)
      << "the creator's other handles could be given away";
}

// Create and Seal are two calls; whoever comes between them would get what can be opened again for writing.
TEST_F(Exclusive, IsNobodysBeforeItIsSealed) {
  RawConnection raw(daemon_.socket_path());
  const auto made = raw.ask(R"({"method":"io.memio.Create","parameters":{"name":"raw","capacity":16,"exclusive":true}})");
  ASSERT_TRUE(made && made->error.empty());
  const auto opened = other_.open("raw", Access::read);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::permission_denied) << opened.error().text();
  const auto id = made->parameters["handle"]["id"].dump();
  ASSERT_EQ(raw.ask(R"({"method":"io.memio.Seal","parameters":{"id":)" + id + "}}")->error, "");
  EXPECT_TRUE(other_.open("raw", Access::read));
}

TEST_F(Exclusive, NoRoadLeadsToAWritableMapping) {
  auto reader = other_.open("mine", Access::read);
  ASSERT_TRUE(reader);
  ASSERT_TRUE(region_.write(bytes("true")));
  const auto path = "/proc/self/fd/" + std::to_string(reader->file_descriptor());
  UniqueFd reopened(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  for (const int fd : {reader->file_descriptor(), reopened.get(), region_.file_descriptor()}) {
    if (fd < 0) continue;
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_LT(::pwrite(fd, "lie", 3, 64), 0);
    EXPECT_NE(::ftruncate(fd, 0), 0);
    EXPECT_NE(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    void* mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_NE(::mprotect(mapped, 4096, PROT_READ | PROT_WRITE), 0);
    ::munmap(mapped, 4096);
  }
  EXPECT_EQ(text(reader->read()->data()), "true");
}

TEST_F(Exclusive, IsSealedAlsoWhenCreatedWithoutWaiting) {
  std::optional<Region> made;
  creator_.create_async("async", {.capacity = 16, .exclusive = true},
                        [&](Result<Region> r) { made.emplace(std::move(*r)); });
  std::array<Event, 4> events;
  while (!made) ASSERT_TRUE(creator_.wait(events, std::chrono::milliseconds(1)));
  EXPECT_NE(::fcntl(made->file_descriptor(), F_GET_SEALS) & F_SEAL_FUTURE_WRITE, 0);
  EXPECT_TRUE(made->write(bytes("x")));
}

TEST_F(Exclusive, OnlyExclusiveRegionsCanBeSealed) {
  auto plain = creator_.create("plain", {.capacity = 16});
  EXPECT_EQ(::fcntl(plain->file_descriptor(), F_GET_SEALS) & F_SEAL_FUTURE_WRITE, 0);
  EXPECT_TRUE(other_.open("plain", Access::write));
}

}  // namespace
}  // namespace memio::test

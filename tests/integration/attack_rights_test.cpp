// SPDX-License-Identifier: MIT
// Roads to what a session has no right to: names that look alike, guesses, and the memory itself.

#include <fcntl.h>
#include <sys/mman.h>

#include "attack.h"
#include "support/bytes.h"

namespace memio::test {
namespace {

class AttackOnRights : public Attack {
 protected:
  static RawConnection scoped(Client& from, std::vector<Grant> grants) {
    auto socket = from.open_connection(std::move(grants));
    EXPECT_TRUE(socket) << socket.error().text();
    return RawConnection(std::move(*socket));
  }
  static std::string call(const std::string& method, const std::string& name, const std::string& more = "") {
    return R"({"method":"io.memio.)" + method + R"(","parameters":{"name":")" + name + "\"" + more + "}}";
  }
};

TEST_F(AttackOnRights, NamesThatDifferByCaseAreOthers) {
  auto page = scoped(bystander_, {{"page/*", {Right::read, Right::create, Right::write, Right::remove}}});
  expect_error(page.ask(call("Create", "Page/a", R"(,"capacity":1)")), "io.memio.PermissionDenied", "Page/a");
  expect_error(page.ask(call("Create", "PAGE/a", R"(,"capacity":1)")), "io.memio.PermissionDenied", "PAGE/a");
  ASSERT_EQ(page.ask(call("Create", "page/a", R"(,"capacity":1)"))->error, "");
  ASSERT_EQ(page.ask(call("Create", "page/A", R"(,"capacity":1)"))->error, "") << "another region";
  expect_error(page.ask(call("Stat", "page/á")), "io.memio.InvalidName", "");
}

TEST_F(AttackOnRights, NamesThatLookLikeOthersAreNoNames) {
  auto page = scoped(bystander_, {{"page/**", {Right::read, Right::create}}});
  for (const auto* name :
       {"page/../bystander", "page/./a", "page//a", "/page/a", "page/a/", "page/\\u0000a", "bystander\\u0000",
        "page\\u2215a", "p\\u0430ge/a", "page/\\u202ea", "\\uff50age/a", "page/a\\n", " page/a",
        "page/%2e%2e/bystander", "page\\\\a", "page/*", "**", "page/a\\u200b", ""}) {
    SCOPED_TRACE(name);
    for (const auto* method : {"Stat", "Remove"})
      expect_error(page.ask(call(method, name)), "io.memio.InvalidName", "");
    expect_error(page.ask(call("Open", name, R"(,"access":"read")")), "io.memio.InvalidName", "");
    expect_error(page.ask(call("Create", name, R"(,"capacity":1)")), "io.memio.InvalidName", "");
  }
}

// Nothing in any answer tells a name that is outside the grants and taken from one that is free.
TEST_F(AttackOnRights, GuessingNamesOutsideTheGrants) {
  auto owner = daemon_.connect();
  const auto secret = owner.create("secret", {.capacity = 16});
  ASSERT_TRUE(secret);
  auto page =
      scoped(bystander_, {{"page/**", {Right::read, Right::write, Right::create, Right::remove, Right::watch}}});
  const auto ask = [&](const std::string& what, const std::string& name) {
    const auto reply = page.ask(what);
    EXPECT_TRUE(reply);
    auto text = reply->error + reply->parameters.dump();
    for (auto at = text.find(name); at != text.npos; at = text.find(name)) text.replace(at, name.size(), "NAME");
    return text;
  };
  for (const auto& [method, more] : std::vector<std::pair<std::string, std::string>>{{"Stat", ""},
                                                                                     {"Remove", ""},
                                                                                     {"Open", R"(,"access":"read")"},
                                                                                     {"Open", R"(,"access":"write")"},
                                                                                     {"Create", R"(,"capacity":1)"},
                                                                                     {"Create", R"(,"capacity":0)"}})
    EXPECT_EQ(ask(call(method, "secret", more), "secret"), ask(call(method, "absent", more), "absent")) << method;
  EXPECT_EQ(page.ask(R"({"method":"io.memio.List","parameters":{"pattern":"s*"}})")->parameters.at("regions").size(),
            0U);
  ASSERT_TRUE(page.send(std::string(R"({"method":"io.memio.Watch","more":true})") + '\0'));
  EXPECT_EQ(page.receive()->parameters.at("event"), "ready");
}

// By the protocol, by the descriptors that it was given, and by opening them again.
TEST_F(AttackOnRights, AReadOnlySessionCannotWriteAnExclusiveRegion) {
  auto owner = daemon_.connect();
  auto region = owner.create("mine", {.capacity = 100, .exclusive = true});
  ASSERT_TRUE(region);
  ASSERT_TRUE(region->write(bytes("original")));
  auto page = scoped(bystander_, {{"mine", {Right::read}}});
  expect_error(page.ask(call("Open", "mine", R"(,"access":"write")")), "io.memio.PermissionDenied", "write");
  expect_error(page.ask(call("Remove", "mine")), "io.memio.PermissionDenied", "remove");
  expect_error(page.ask(R"({"method":"io.memio.Seal","parameters":{"id":1}})"), "io.memio.NoSuchHandle", "1");
  auto reader =
      std::move(*Client::adopt(std::move(*bystander_.open_connection(std::vector<Grant>{{"mine", {Right::read}}}))));
  auto opened = reader.open("mine", Access::read);
  ASSERT_TRUE(opened);
  constexpr std::size_t size = 4096;
  const int given = opened->file_descriptor();
  const auto path = "/proc/self/fd/" + std::to_string(given);
  const UniqueFd again(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd truncated(::open(path.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC));
  for (const int fd : {given, again.get(), truncated.get()}) {
    if (fd < 0) continue;
    EXPECT_EQ(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_LT(::pwrite(fd, "x", 1, 64), 0);
    EXPECT_NE(::ftruncate(fd, 0), 0);
    EXPECT_NE(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size), 0);
    EXPECT_NE(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_NE(::mprotect(mapped, size, PROT_READ | PROT_WRITE), 0);
    ::munmap(mapped, size);
  }
  EXPECT_EQ(text(opened->read()->data()), "original");
}

}  // namespace
}  // namespace memio::test

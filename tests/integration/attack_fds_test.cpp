// SPDX-License-Identifier: MIT
// Descriptors that a wrong or hostile peer can send.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <map>

#include "attack.h"

namespace memio::test {
namespace {

using AttackByFds = Attack;

std::map<std::string, UniqueFd> odd_fds(const std::string& socket_path) {
  std::map<std::string, UniqueFd> fds;
  const auto add = [&](const char* kind, int fd) {
    EXPECT_GE(fd, 0) << kind;
    fds.emplace(kind, UniqueFd(fd));
  };
  const std::string directory = socket_path.substr(0, socket_path.rfind('/'));
  sigset_t none;
  sigemptyset(&none);
  auto [read_end, write_end] = make_pipe();
  fds.emplace("a pipe's end to read from", std::move(read_end));
  fds.emplace("a pipe's end to write to", std::move(write_end));
  add("an eventfd", ::eventfd(0, EFD_CLOEXEC));
  add("an epoll", ::epoll_create1(EPOLL_CLOEXEC));
  add("a timerfd", ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  add("a signalfd", ::signalfd(-1, &none, SFD_CLOEXEC));
  add("an inotify", ::inotify_init1(IN_CLOEXEC));
  add("a pidfd", static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  add("a socket", ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  add("a network socket", ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  add("a directory", ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  add("a place", ::open(directory.c_str(), O_PATH | O_CLOEXEC));
  add("a file", ::open((directory + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  add("/dev/null", ::open("/dev/null", O_RDWR | O_CLOEXEC));
  add("/proc/self/mem", ::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  add("an empty memory file", ::memfd_create("odd", MFD_CLOEXEC));
  const int unsealed = ::memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(::ftruncate(unsealed, 1 << 20), 0);
  add("a memory file that can shrink", unsealed);
  const int sealed = ::memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(::ftruncate(sealed, 12345), 0);
  EXPECT_EQ(::fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  add("a sealed memory file of a wrong size", sealed);
  return fds;
}

// Attach is what takes descriptors. Each odd one is shown in each place, the others being right.
TEST_F(AttackByFds, OfEveryOddKind) {
  RawConnection owner(daemon_.socket_path());
  ASSERT_EQ(owner.ask(R"({"method":"io.memio.Create","parameters":{"name":"real","capacity":100}})")->error, "");
  const std::string attach =
      R"({"method":"io.memio.Attach","parameters":{"name":"odd","capacity":100,"slots":4,"layout":"memio64",)"
      R"("lifetime":"session","exclusive":false,"hugePages":false,"access":"write","creator":true,"cell":1,"cells":1024,)"
      R"("regionFileDescriptor":0,"leasesFileDescriptor":1,"doorbellFileDescriptor":2}})";
  const auto fds = odd_fds(daemon_.socket_path());
  RawConnection raw(daemon_.socket_path());
  for (const auto& [kind, fd] : fds) {
    SCOPED_TRACE(kind);
    expect_error(raw.ask(attach, {fd.get(), fd.get(), fd.get()}), "io.memio.NotTheRegion", "");
    expect_error(raw.ask(list_call, {fd.get()}), "io.memio.UnexpectedFileDescriptors", "List");
  }
  EXPECT_EQ(raw.ask(list_call)->parameters.at("regions").size(), 2U);
}

// A socket that is on its way inside itself is reachable for nobody, and the kernel has to find that out.
TEST_F(AttackByFds, ASocketInFlightInsideItself) {
  for (int i = 0; i < 50; ++i) {
    RawConnection raw(daemon_.socket_path());
    ASSERT_TRUE(raw.send("{\"method\":", {raw.fd(), raw.fd()}));
    RawConnection other(daemon_.socket_path());
    ASSERT_TRUE(other.send(std::string(list_call) + '\0', {raw.fd(), other.fd()}));
    ASSERT_TRUE(raw.send("\"", {other.fd()}));
  }
}

// A connection that is not read from, whose peer's end lies among what it was sent: nobody else has that, so it would
// never hang up, and nobody reads it.
class AttackByAnUnreadEnd : public Attack {
 protected:
  // Once its peer has as many descriptors to receive, nothing more is read from it.
  AttackByAnUnreadEnd() : Attack(R"({"limits": {"connection": {"fds": 3}, "scoped": {"fds": 3}}})") {}

  void stop_receiving(RawConnection& raw) {
    ASSERT_TRUE(raw.send(open_call + '\0'));
    ASSERT_TRUE(becomes([&] { return last_session().fds == 3; }));
  }
  void send_own_end_and_go(RawConnection raw) {
    ASSERT_TRUE(raw.send("{", {raw.fd()}));
    const auto id = last_session().id;
    { const auto gone = std::move(raw); }
    EXPECT_TRUE(becomes([&] { return last_session().id != id; })) << "it ends all the same";
  }
  const std::string open_call = R"({"method":"io.memio.Open","parameters":{"name":"bystander","access":"read"}})";

  SessionInfo last_session() { return bystander_.list_sessions()->back(); }
  static bool becomes(const std::function<bool()>& is_so) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!is_so() && std::chrono::steady_clock::now() < limit) {
    }
    return is_so();
  }
};

TEST_F(AttackByAnUnreadEnd, Ends) {
  RawConnection raw(daemon_.socket_path());
  stop_receiving(raw);
  send_own_end_and_go(std::move(raw));
}

TEST_F(AttackByAnUnreadEnd, EndsIfItIsScoped) {
  RawConnection raw(*bystander_.open_connection());
  stop_receiving(raw);
  send_own_end_and_go(std::move(raw));
}

TEST_F(AttackByAnUnreadEnd, EndsIfItDoesNotReadItsAnswers) {
  RawConnection raw(daemon_.socket_path());
  constexpr std::size_t most_unread = std::size_t{1} << 20;
  const std::string long_call = R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":)"
                                R"({"interface":"io.memio"}})";
  for (std::size_t asked = 0; last_session().queued_bytes < most_unread; ++asked) {
    ASSERT_LT(asked, 1000U);
    ASSERT_TRUE(raw.send(long_call + '\0'));
  }
  send_own_end_and_go(std::move(raw));
}

// Whoever is only slow keeps its connection, whatever else it sends.
TEST_F(AttackByAnUnreadEnd, IsNoneIfItIsNoSocket) {
  RawConnection slow(daemon_.socket_path());
  stop_receiving(slow);
  const UniqueFd file(::memfd_create("odd", MFD_CLOEXEC));
  ASSERT_TRUE(slow.send(std::string(list_call) + '\0', {file.get()}));
  RawConnection raw(daemon_.socket_path());
  stop_receiving(raw);
  send_own_end_and_go(std::move(raw));  // by then both have been looked at
  EXPECT_EQ(slow.receive()->error, "");
  expect_error(slow.receive(), "io.memio.UnexpectedFileDescriptors", "List");
}

// Both ends of a connection that memiod made, sent back through it.
TEST_F(AttackByFds, AScopedConnectionInsideItself) {
  auto socket = bystander_.open_connection();
  ASSERT_TRUE(socket);
  const int fd = socket->get();
  RawConnection scoped(std::move(*socket));
  ASSERT_TRUE(scoped.send(std::string(list_call) + '\0', {fd}));
  expect_error(scoped.receive(), "io.memio.UnexpectedFileDescriptors", "1");
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
// Descriptors that a wrong or hostile peer can send.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <map>

#include "attack.h"
#include "support/becomes.h"
#include "support/shown_region.h"

namespace memio::test {
namespace {

std::string fd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

class AttackByFds : public Attack {
 protected:
  ShownRegion shown_;

  // By what they are.
  using Fds = std::map<std::string, UniqueFd>;
  // What can be none of the three that a region has.
  [[nodiscard]] Fds odd_fds() const;
  // Memory files that can be neither of the two that a region has, where that has so many bytes.
  static Fds odd_memory_files(std::uint64_t size);

  // Shows the right three, but for the one at `place`.
  void expect_refused(RawConnection& raw, std::size_t place, const std::string& kind, int fd);
  static constexpr std::array<const char*, 3> places = {"the region", "the lease table", "the doorbell"};
};

AttackByFds::Fds AttackByFds::odd_fds() const {
  Fds fds;
  const auto add = [&](const char* kind, int fd) {
    EXPECT_GE(fd, 0) << kind;
    fds.emplace(kind, UniqueFd(fd));
  };
  const std::string& directory = daemon_.runtime();
  const std::string named_pipe = directory + "/pipe";
  EXPECT_EQ(::mkfifo(named_pipe.c_str(), 0600), 0);
  sigset_t none;
  sigemptyset(&none);
  auto [read_end, write_end] = make_pipe();
  fds.emplace("a pipe's end to read from", std::move(read_end));
  fds.emplace("a pipe's end to write to", std::move(write_end));
  add("a named pipe", ::open(named_pipe.c_str(), O_RDWR | O_CLOEXEC));
  add("an epoll", ::epoll_create1(EPOLL_CLOEXEC));
  add("a timerfd", ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  add("a signalfd", ::signalfd(-1, &none, SFD_CLOEXEC));
  add("an inotify", ::inotify_init1(IN_CLOEXEC));
  add("a pidfd", static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  add("a socket", ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  add("a network socket", ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  add("a directory", ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  add("a place", ::open(directory.c_str(), O_PATH | O_CLOEXEC));
  add("the place of memiod's socket", ::open(daemon_.socket_path().c_str(), O_PATH | O_CLOEXEC));
  add("the place of a memory file", ::open(fd_path(shown_.region.get()).c_str(), O_PATH | O_CLOEXEC));
  add("the place of an eventfd", ::open(fd_path(shown_.doorbell.get()).c_str(), O_PATH | O_CLOEXEC));
  add("a file", ::open((directory + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  add("/dev/null", ::open("/dev/null", O_RDWR | O_CLOEXEC));
  add("/dev/zero", ::open("/dev/zero", O_RDWR | O_CLOEXEC));
  add("a terminal", ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  add("/proc/self/mem", ::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  add("a namespace", ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  return fds;
}

AttackByFds::Fds AttackByFds::odd_memory_files(std::uint64_t size) {
  Fds fds;
  fds.emplace("an empty memory file", make_memfd(0, true));
  fds.emplace("a memory file that is a page too long", make_memfd(size + page_size(), true));
  fds.emplace("a memory file that is a byte too short", make_memfd(size - 1, true));
  fds.emplace("a memory file that can shrink and grow", make_memfd(size, false));
  for (const auto& [kind, seal] :
       {std::pair{"a memory file that can grow", F_SEAL_SHRINK}, {"a memory file that can shrink", F_SEAL_GROW}}) {
    const auto& fd = fds.emplace(kind, make_memfd(size, false)).first->second;
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seal), 0);
  }
  const auto& fd = fds.emplace("a memory file without seals", ::memfd_create("odd", MFD_CLOEXEC)).first->second;
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  return fds;
}

void AttackByFds::expect_refused(RawConnection& raw, std::size_t place, const std::string& kind, int fd) {
  SCOPED_TRACE(kind + " as " + places.at(place));
  auto shown = shown_.fds();
  shown.at(place) = fd;
  struct stat status {};
  ASSERT_EQ(::fstat(fd, &status), 0);
  expect_error(raw.ask(ShownRegion::call(), shown), "io.memio.NotTheRegion",
               S_ISSOCK(status.st_mode) ? "a socket is none of them" : std::string(places.at(place)) + " shown is no ");
  expect_error(raw.ask(R"({"method":"io.memio.Stat","parameters":{"name":"shown"}})"), "io.memio.NoSuchRegion", "");
  EXPECT_TRUE(bystander_.list()) << "others go on";
}

// Attach is what takes descriptors. Each odd one is shown in each place, the others being right, as the tests of Attach
// show.
TEST_F(AttackByFds, OfEveryOddKind) {
  RawConnection raw(daemon_.socket_path());
  const auto odd = odd_fds();
  const std::array sizes = {shown_.geometry.total_size(), format::lease_table_size(ShownRegion::cells), page_size()};
  for (std::size_t place = 0; place < places.size(); ++place) {
    for (const auto& [kind, fd] : odd) expect_refused(raw, place, kind, fd.get());
    for (const auto& [kind, fd] : odd_memory_files(sizes.at(place))) expect_refused(raw, place, kind, fd.get());
    for (std::size_t other = 0; other < places.size(); ++other)
      if (other != place) expect_refused(raw, place, places.at(other), shown_.fds().at(other));
  }
  for (const auto& [kind, fd] : odd)
    expect_error(raw.ask(list_call, {fd.get()}), "io.memio.UnexpectedFileDescriptors", "List");
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
    const auto receiving_nothing = [&] {
      return std::ranges::count(*bystander_.list_sessions(), 3U, &SessionInfo::fds);
    };
    const auto before = receiving_nothing();
    ASSERT_TRUE(raw.send(open_call + '\0'));
    ASSERT_TRUE(becomes([&] { return receiving_nothing() == before + 1; }));
  }
  void send_own_end_and_go(RawConnection raw) {
    ASSERT_TRUE(raw.send("{", {raw.fd()}));
    const auto id = last_session().id;
    { const auto gone = std::move(raw); }
    EXPECT_TRUE(becomes([&] { return last_session().id != id; })) << "it ends all the same";
  }
  const std::string open_call = R"({"method":"io.memio.Open","parameters":{"name":"bystander","access":"read"}})";

  SessionInfo last_session() { return bystander_.list_sessions()->back(); }
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

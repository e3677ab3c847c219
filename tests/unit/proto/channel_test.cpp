// SPDX-License-Identifier: MIT
#include "memio/channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/fd_leak_check.h"
#include "support/no_room_for_fds.h"

namespace memio {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

struct Pair {
  UniqueFd ours;
  UniqueFd theirs;
};

Pair socket_pair() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// A file that tells itself apart from others by its size.
UniqueFd marked_fd(int mark) {
  UniqueFd fd(::memfd_create("mark", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(fd.get(), mark), 0);
  return fd;
}

std::vector<UniqueFd> marked_fds(const std::vector<int>& marks) {
  std::vector<UniqueFd> fds;
  for (const int mark : marks) fds.push_back(marked_fd(mark));
  return fds;
}

std::vector<int> marks_of(const std::vector<UniqueFd>& fds) {
  std::vector<int> marks;
  for (const auto& fd : fds) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    marks.push_back(static_cast<int>(status.st_size));
  }
  return marks;
}

// What a foreign program does: bytes and descriptors in one sendmsg(2).
void send_raw(int socket, std::string_view bytes, const std::vector<UniqueFd>& fds = {}) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<std::byte> control(CMSG_SPACE(fds.size() * sizeof(int)));
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    for (std::size_t i = 0; i < fds.size(); ++i) {
      const int fd = fds[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof fd);
    }
  }
  ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

struct Received {
  std::string text;
  std::vector<int> marks;
  bool operator==(const Received&) const = default;
};

void PrintTo(const Received& received, std::ostream* out) {
  *out << testing::PrintToString(received.text) << " with " << testing::PrintToString(received.marks);
}

// Everything that can be received now, reading at most `most` bytes a time.
std::vector<Received> receive_all(Channel& channel, std::size_t most = 64 * 1024) {
  std::vector<Received> all;
  for (;;) {
    const auto input = channel.receive(most);
    if (!input) {
      ADD_FAILURE() << input.error().text();
      return all;
    }
    while (auto frame = channel.next()) all.push_back({frame->text, marks_of(frame->fds)});
    if (*input != Channel::Input::some) return all;
  }
}

Result<Channel::Input> receive_until_it_stops(Channel& channel, std::size_t most) {
  for (;;) {
    auto input = channel.receive(most);
    if (!input || *input != Channel::Input::some) return input;
  }
}

TEST(Channel, CutsSeveralMessagesOfOneReadApart) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  send_raw(theirs.get(), "one\0two\0\0thr"s);
  EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"one", {}}, {"two", {}}, {"", {}}}));
  send_raw(theirs.get(), "ee\0"s);
  EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"three", {}}}));
}

TEST(Channel, PutsMessagesTogetherFromPiecesCutAnywhere) {
  const auto bytes = "first\0second\0"s;
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    auto [ours, theirs] = socket_pair();
    Channel channel(std::move(ours));
    std::vector<Received> all;
    for (const auto& piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
      send_raw(theirs.get(), piece);
      for (auto& received : receive_all(channel)) all.push_back(std::move(received));
    }
    EXPECT_EQ(all, (std::vector<Received>{{"first", {}}, {"second", {}}})) << "cut at byte " << cut;
  }
}

TEST(Channel, GivesDescriptorsToTheirMessageWhateverTheReaderReadsAtATime) {
  for (std::size_t most = 1; most <= 64; ++most) {
    auto [ours, theirs] = socket_pair();
    Channel sender(std::move(theirs));
    Channel receiver(std::move(ours));
    ASSERT_TRUE(sender.send("plain before"));
    ASSERT_TRUE(sender.send("with two", marked_fds({1, 2})));
    ASSERT_TRUE(sender.send("with one", marked_fds({3})));
    ASSERT_TRUE(sender.send("plain after"));
    ASSERT_TRUE(sender.send("", marked_fds({4})));
    ASSERT_TRUE(sender.send("last"));
    ASSERT_TRUE(sender.flush());
    EXPECT_FALSE(sender.wants_write());
    EXPECT_EQ(receive_all(receiver, most), (std::vector<Received>{{"plain before", {}},
                                                                  {"with two", {1, 2}},
                                                                  {"with one", {3}},
                                                                  {"plain after", {}},
                                                                  {"", {4}},
                                                                  {"last", {}}}))
        << "reading " << most << " bytes at a time";
  }
}

TEST(Channel, GivesDescriptorsToTheirMessageWhereverTheSenderCutsIt) {
  const auto message = "message\0"s;
  for (std::size_t cut = 1; cut < message.size(); ++cut) {
    auto [ours, theirs] = socket_pair();
    Channel channel(std::move(ours));
    send_raw(theirs.get(), "plain\0"s);
    send_raw(theirs.get(), message.substr(0, cut), marked_fds({7}));
    send_raw(theirs.get(), message.substr(cut), marked_fds({8}));
    send_raw(theirs.get(), "after\0"s);
    EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"plain", {}}, {"message", {7, 8}}, {"after", {}}}))
        << "cut at byte " << cut;
  }
}

TEST(Channel, GivesDescriptorsOfAReadThatEndsAtANulToTheMessageThatEndsThere) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  send_raw(theirs.get(), "whole\0"s, marked_fds({5}));
  EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"whole", {5}}}));
}

TEST(Channel, GivesDescriptorsOfAReadThatEndsInAMessageToThatMessage) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  send_raw(theirs.get(), "whole\0ha"s, marked_fds({5}));
  EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"whole", {}}}));
  send_raw(theirs.get(), "lf\0"s);
  EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"half", {5}}}));
}

TEST(Channel, ReceivesDescriptorsThatCloseOnExec) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  UniqueFd inheritable(::memfd_create("inheritable", 0));
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(inheritable));
  send_raw(theirs.get(), "x\0"s, fds);
  ASSERT_TRUE(channel.receive());
  const auto frame = channel.next();
  ASSERT_TRUE(frame && frame->fds.size() == 1);
  EXPECT_NE(::fcntl(frame->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Channel, TakesAMessageOfExactlyTheLimit) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours), {.message = 10});
  send_raw(theirs.get(), "0123456789\0"s);
  EXPECT_EQ(receive_all(channel), (std::vector<Received>{{"0123456789", {}}}));
}

TEST(Channel, RefusesAMessageLongerThanTheLimitWhetherItIsWholeOrNot) {
  for (const auto& bytes : {"0123456789a\0"s, "0123456789a"s,
                            "fine\0also\0"
                            "0123456789a\0next\0"s}) {
    for (const std::size_t most : {1, 3, 100}) {
      auto [ours, theirs] = socket_pair();
      Channel channel(std::move(ours), {.message = 10});
      send_raw(theirs.get(), bytes);
      const auto result = receive_until_it_stops(channel, most);
      ASSERT_FALSE(result) << "accepted " << testing::PrintToString(bytes);
      EXPECT_EQ(result.error().code, Errc::message_too_large);
      EXPECT_THAT(result.error().message, HasSubstr("10 bytes"));
    }
  }
}

TEST(Channel, RefusesTooManyDescriptorsAndClosesAllOfThem) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours), {.fds = 2});
  const auto before = test::open_fds().size();
  send_raw(theirs.get(), "x\0"s, marked_fds({1, 2, 3}));
  const auto result = channel.receive();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::protocol_violation);
  EXPECT_THAT(result.error().message, HasSubstr("more than 2 file descriptors"));
  EXPECT_EQ(test::open_fds().size(), before);
}

TEST(Channel, CountsDescriptorsThatComeInPiecesOfOneMessageTogether) {
  auto [ours, theirs] = socket_pair();
  const auto before = test::open_fds().size();
  {
    Channel channel(UniqueFd(::fcntl(ours.get(), F_DUPFD_CLOEXEC, 0)), {.fds = 2});
    send_raw(theirs.get(), "a", marked_fds({1, 2}));
    send_raw(theirs.get(), "b", marked_fds({3}));
    ASSERT_TRUE(channel.receive());
    EXPECT_EQ(channel.receive().error().code, Errc::protocol_violation);
  }
  EXPECT_EQ(test::open_fds().size(), before);
}

TEST(Channel, TakesAsManyDescriptorsAsTheKernelSendsAtOnce) {
  auto [ours, theirs] = socket_pair();
  Channel sender(std::move(theirs));
  Channel receiver(std::move(ours), {.fds = 253});
  ASSERT_TRUE(sender.send("many", marked_fds(std::vector<int>(253, 1))));
  ASSERT_TRUE(sender.flush());
  EXPECT_EQ(receive_all(receiver), (std::vector<Received>{{"many", std::vector<int>(253, 1)}}));
}

TEST(Channel, RefusesToSendMoreDescriptorsThanTheKernelTakes) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  const auto result = channel.send("many", marked_fds(std::vector<int>(254, 1)));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::limit_exceeded);
  EXPECT_FALSE(channel.wants_write());
}

TEST(Channel, ClosesDescriptorsThatNobodyTook) {
  auto [ours, theirs] = socket_pair();
  const auto before = test::open_fds().size();
  {
    Channel channel(UniqueFd(::fcntl(ours.get(), F_DUPFD_CLOEXEC, 0)));
    send_raw(theirs.get(), "taken by nobody\0"s, marked_fds({1}));
    send_raw(theirs.get(), "half", marked_fds({2, 3}));
    ASSERT_TRUE(channel.receive());
    ASSERT_TRUE(channel.receive());
    ASSERT_TRUE(channel.send("never flushed", marked_fds({4})));
  }
  EXPECT_EQ(test::open_fds().size(), before);
}

TEST(Channel, ReportsTheEndWhereverThePeerCloses) {
  const auto bytes = "one\0two\0"s;
  for (std::size_t sent = 0; sent <= bytes.size(); ++sent) {
    auto [ours, theirs] = socket_pair();
    Channel channel(std::move(ours));
    if (sent > 0) send_raw(theirs.get(), bytes.substr(0, sent), marked_fds({1}));
    theirs.reset();
    std::size_t messages = 0;
    auto input = channel.receive();
    while (input && *input == Channel::Input::some) {
      while (channel.next()) ++messages;
      input = channel.receive();
    }
    ASSERT_TRUE(input) << input.error().text();
    EXPECT_EQ(*input, Channel::Input::end);
    EXPECT_EQ(messages, sent / 4);
  }
}

TEST(Channel, ReportsAPeerThatClosedWithBytesUnread) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  ASSERT_TRUE(channel.send("never read"));
  ASSERT_TRUE(channel.flush());
  theirs.reset();  // with unread bytes the kernel reports ECONNRESET, not an end of file
  const auto input = channel.receive();
  ASSERT_TRUE(input) << input.error().text();
  EXPECT_EQ(*input, Channel::Input::end);
}

TEST(Channel, ReportsADisconnectionWhenWritingToAClosedPeer) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  theirs.reset();
  ASSERT_TRUE(channel.send("too late"));
  EXPECT_EQ(channel.flush().error().code, Errc::disconnected);
}

TEST(Channel, HasNothingToReceiveFromASilentPeer) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  const auto input = channel.receive();
  ASSERT_TRUE(input);
  EXPECT_EQ(*input, Channel::Input::none);
  EXPECT_FALSE(channel.next());
}

TEST(Channel, WaitsForWhatComesWhetherItsSocketBlocksOrNot) {
  for (const int flags : {0, O_NONBLOCK}) {
    auto [ours, theirs] = socket_pair();
    ASSERT_EQ(::fcntl(ours.get(), F_SETFL, flags), 0);
    Channel channel(std::move(ours));
    EXPECT_EQ(*channel.receive(), Channel::Input::none) << "never blocks";
    std::thread sender([&to = theirs] { send_raw(to.get(), "{}\0"s); });
    EXPECT_EQ(*channel.wait_and_receive(), Channel::Input::some);
    sender.join();
    EXPECT_EQ(channel.next()->text, "{}");
    theirs.reset();
    EXPECT_EQ(*channel.wait_and_receive(), Channel::Input::end);
  }
}

TEST(Channel, TellsWhichMessageHadDescriptorsThatThereIsNoRoomFor) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  send_raw(theirs.get(), "a\0b"s, marked_fds({1, 2, 3}));
  send_raw(theirs.get(), "\0c\0"s);
  {
    const test::NoRoomForFds no_room(2);
    EXPECT_EQ(channel.socket_waits(), std::nullopt) << "the third may be one";
    EXPECT_EQ(*channel.receive(), Channel::Input::some);
  }
  while (*channel.receive() == Channel::Input::some) {
  }
  EXPECT_FALSE(channel.next()->fds_lost);
  EXPECT_TRUE(channel.next()->fds_lost) << "of which the last byte is";
  EXPECT_FALSE(channel.next()->fds_lost);
}

TEST(Channel, SeesASocketThatWaitsWhereverItIsAndTakesNothing) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours));
  EXPECT_EQ(channel.socket_waits(), false);
  send_raw(theirs.get(), std::string(100'000, 'x'));
  send_raw(theirs.get(), "y", marked_fds({1, 2}));
  EXPECT_EQ(channel.socket_waits(), false);
  std::vector<UniqueFd> more = marked_fds({3});
  more.push_back(std::move(socket_pair().ours));
  send_raw(theirs.get(), "z\0"s, more);
  EXPECT_EQ(channel.socket_waits(), true);
  EXPECT_EQ(channel.socket_waits(), true);
  more.clear();
  while (*channel.receive() == Channel::Input::some) {
  }
  const auto frame = channel.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->text, std::string(100'000, 'x') + "yz");
  EXPECT_EQ(frame->fds.size(), 4U);
  EXPECT_EQ(channel.socket_waits(), false);
}

TEST(Channel, KeepsWhatAFullSocketDoesNotTakeAndSendsItLater) {
  auto [ours, theirs] = socket_pair();
  const int small = 4096;
  ASSERT_EQ(::setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  Channel sender(std::move(theirs));
  Channel receiver(std::move(ours));
  std::vector<Received> sent;
  for (int i = 1; i <= 40; ++i) {
    const std::string text(static_cast<std::size_t>(i) * 500, static_cast<char>('a' + i % 26));
    const auto marks = i % 3 == 0 ? std::vector<int>{i} : std::vector<int>{};
    sent.push_back({text, marks});
    ASSERT_TRUE(sender.send(text, marked_fds(marks)));
  }
  ASSERT_TRUE(sender.flush());
  ASSERT_TRUE(sender.wants_write()) << "the socket took everything, so this tests nothing";
  std::vector<Received> received;
  while (sender.wants_write()) {
    const auto waiting = sender.queued_bytes();
    for (auto& one : receive_all(receiver)) received.push_back(std::move(one));
    ASSERT_TRUE(sender.flush());
    ASSERT_LT(sender.queued_bytes(), waiting);
  }
  EXPECT_EQ(sender.queued_bytes(), 0U);
  for (auto& one : receive_all(receiver)) received.push_back(std::move(one));
  EXPECT_EQ(received, sent);
}

TEST(Channel, RefusesToQueueMoreThanItsLimit) {
  auto [ours, theirs] = socket_pair();
  Channel channel(std::move(ours), {.queued = 10});
  ASSERT_TRUE(channel.send("0123"));  // 5 bytes with the NUL
  ASSERT_TRUE(channel.send("0123"));
  const auto result = channel.send("");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::limit_exceeded);
  EXPECT_EQ(channel.queued_bytes(), 10U);
  ASSERT_TRUE(channel.flush());
  EXPECT_TRUE(channel.send("0123"));
}

// Random messages, sent and received in random portions, come out as they went in.
TEST(Channel, DeliversAnySequenceInAnyPortions) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto pick = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
    auto [ours, theirs] = socket_pair();
    const int buffer = pick(1, 4) * 4096;
    ASSERT_EQ(::setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), 0);
    Channel sender(std::move(theirs));
    Channel receiver(std::move(ours));
    std::vector<Received> sent;
    std::vector<Received> received;
    const auto read_some = [&](std::size_t most) {
      const auto input = receiver.receive(most);
      ASSERT_TRUE(input) << input.error().text();
      while (auto frame = receiver.next()) received.push_back({frame->text, marks_of(frame->fds)});
    };
    while (sent.size() < 60) {
      switch (pick(0, 3)) {
        case 0:
        case 1: {
          const int length = pick(0, 9) == 0 ? pick(1000, 20'000) : pick(0, 200);
          std::vector<int> marks;
          if (pick(0, 2) == 0)
            for (int i = pick(1, 4); i > 0; --i) marks.push_back(pick(1, 1'000'000));
          sent.push_back({std::string(static_cast<std::size_t>(length), static_cast<char>(pick('a', 'z'))), marks});
          ASSERT_TRUE(sender.send(sent.back().text, marked_fds(marks)));
          break;
        }
        case 2: ASSERT_TRUE(sender.flush()); break;
        default: read_some(static_cast<std::size_t>(pick(0, 1) == 0 ? pick(1, 143) : pick(1, 30'000)));
      }
    }
    while (sender.wants_write() || received.size() < sent.size()) {
      ASSERT_TRUE(sender.flush());
      read_some(static_cast<std::size_t>(pick(1, 5000)));
      if (testing::Test::HasFatalFailure()) return;
    }
    ASSERT_EQ(received, sent);
  }
}

}  // namespace
}  // namespace memio

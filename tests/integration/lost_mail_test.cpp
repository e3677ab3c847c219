// SPDX-License-Identifier: MIT
// The connection on which a client receives is lost, and memiod stays: what came on it, and what it handles, comes
// back.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>

#include "open_region.h"
#include "support/becomes.h"
#include "support/bytes.h"
#include "support/mail.h"
#include "support/no_room_for_fds.h"

namespace memio::test {
namespace {

// The sockets in a client's epoll.
std::vector<int> sockets_of(const Client& client) {
  std::vector<int> sockets;
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(client.get_fd()));
  for (std::string word; info >> word;) {
    if (word != "tfd:") continue;
    int fd = -1;
    struct stat status {};
    if (info >> fd && ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) sockets.push_back(fd);
  }
  return sockets;
}

// Somebody who was sent a region, and loses the connection on which it came, but not the one that it asked on.
class LostMail : public MailTest {
 protected:
  Client client_ = connect_receiving();
  Region region_ = std::move(*client_.create("r", {.capacity = 64, .slots = 2}));
  Client other_ = connect_other();
  std::vector<int> own_ = sockets_of(other_);
  std::optional<CommandHandler> handler_;

  // With no right to the region but that it is sent it.
  Client connect_other() { return scoped(client_, {{"c", {Right::handle}}}); }
  [[nodiscard]] std::uint64_t handles() { return client_.stat("r")->region.handles; }
  Region receive() {
    handler_.emplace(std::move(*other_.handle("c")));
    EXPECT_TRUE(region_.write(bytes("first")));
    CallOptions options;
    options.attachments.push_back(std::move(*Attachment::of_region(region_)));
    client_.call_async("c", "null", std::move(options), [](const Result<CallAnswer>&) {});
    return std::move(*handler_->wait(long_enough)->attachments().at(0).take_region());
  }
  [[nodiscard]] int mail_socket() {
    auto sockets = sockets_of(other_);
    std::erase(sockets, own_.at(0));
    return sockets.size() == 1 ? sockets[0] : -1;
  }
  void lose_mail() { ASSERT_EQ(::shutdown(mail_socket(), SHUT_RDWR), 0); }
  static bool is_claimed(Region& came) {
    const auto& open = RegionAccess::open(came);
    return open.handle() && !open.on_mail();
  }
  void expect_claimed_once(Region came) {
    dispatch_until(other_, [&] { return is_claimed(came); });
    EXPECT_EQ(handles(), 2U);
    { const auto closed = std::move(came); }
    ASSERT_TRUE(other_.list());
    EXPECT_EQ(handles(), 1U);
  }
  // Waits for an event of the region.
  void expect_told() {
    std::array<Event, 8> events;
    for (bool told = false; !told;) {
      const auto n = other_.wait(events, long_enough);
      ASSERT_TRUE(n && *n > 0);
      for (std::size_t i = 0; i < *n; ++i) told = told || events[i].token == Token{7};
    }
  }
};

TEST_F(LostMail, ItsRegionIsClaimedAnew) {
  auto came = receive();
  {
    const auto held = *came.read();
    ASSERT_TRUE(came.subscribe({7}, held.sequence()));
    std::array<Event, 1> none;
    EXPECT_EQ(other_.dispatch(none), 0U) << "but now it is armed";
    lose_mail();
    dispatch_until(other_, [&] { return is_claimed(came); });
    // Its lease is in its cell again: of two slots, the one is leased and the other the latest.
    ASSERT_TRUE(region_.write(bytes("second")));
    expect_told();
    region_.set_write_timeout(std::chrono::milliseconds(0));
    EXPECT_EQ(region_.write(bytes("third")).error().code, Errc::busy);
    EXPECT_EQ(text(held.data()), "first");
  }
  expect_claimed_once(std::move(came));
}

TEST_F(LostMail, TwiceAtOnce) {
  auto came = receive();
  lose_mail();
  dispatch_until(other_, [&] { return sockets_of(other_).size() == own_.size(); });
  dispatch_until(other_, [&] { return sockets_of(other_).size() > own_.size(); });
  lose_mail();
  expect_claimed_once(std::move(came));
}

TEST_F(LostMail, ItsHandlersComeBackWhenThereIsRoomForItsConnection) {
  auto came = receive();
  {
    const int lost = mail_socket();
    const NoRoomForFds no_room;
    ASSERT_EQ(::shutdown(lost, SHUT_RDWR), 0);
    std::array<Event, 4> events;
    other_.dispatch(events);
    const UniqueFd in_its_place(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    ASSERT_EQ(in_its_place.get(), lost) << "it has asked for another";
    ASSERT_TRUE(other_.list()) << "whose answer comes after that";
  }
  ASSERT_EQ(sockets_of(other_), own_) << "for which there was no room";
  dispatch_until(other_, [&] { return sockets_of(other_).size() > own_.size(); });
  // As soon as memiod has read that it handles the command, a call of it waits instead of failing.
  ASSERT_TRUE(becomes([&] {
    const auto answer = client_.call("c", "1", {.timeout = std::chrono::milliseconds(1)});
    return answer.error().code == Errc::call_timed_out;
  }));
}

TEST_F(LostMail, OneThatOnlyWaitsForCallsClaimsAsWell) {
  auto came = receive();
  const auto held = *came.read();
  lose_mail();
  ASSERT_TRUE(becomes([&] {
    EXPECT_EQ(handler_->wait(std::chrono::milliseconds(20)).error().code, Errc::timed_out);
    return is_claimed(came);
  }));
  // Its lease is in its cell again: of two slots, the one is leased and the other the latest.
  ASSERT_TRUE(region_.write(bytes("second")));
  region_.set_write_timeout(std::chrono::milliseconds(0));
  EXPECT_EQ(region_.write(bytes("third")).error().code, Errc::busy);
}

}  // namespace
}  // namespace memio::test

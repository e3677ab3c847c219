// SPDX-License-Identifier: MIT
#include "peer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <vector>

#include "memio/channel.h"
#include "support/process.h"

namespace memio::broker {
namespace {

std::pair<UniqueFd, UniqueFd> make_socketpair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

TEST(Peer, KnowsItsUserAndProcess) {
  const auto [ours, theirs] = make_socketpair();
  const auto peer = Peer::of(ours.get());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->uid(), ::geteuid());
  EXPECT_EQ(peer->pid(), ::getpid());
}

// A connection lives on in another process than the one that made it, as when it is handed over.
TEST(Peer, AProcessThatHasEndedHasNoNumberAnyMore) {
  auto [carried_to, carried_from] = make_socketpair();
  const test::Turnstile taken;
  auto child = test::Process::fork([&] {
    auto [one, other] = make_socketpair();
    Channel carrier(std::move(carried_from));
    std::vector<UniqueFd> both;
    both.push_back(std::move(one));
    both.push_back(std::move(other));
    if (!carrier.send("here they are", std::move(both)) || !carrier.flush()) return 1;
    taken.wait();
    return 0;
  });
  Channel carrier(std::move(carried_to));
  pollfd readable{carrier.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 20'000), 1);
  ASSERT_EQ(carrier.receive().value(), Channel::Input::some);
  const auto ends = std::move(carrier.next()->fds);
  const auto peer = Peer::of(ends.at(0).get());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->pid(), child.pid());
  taken.pass();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(peer->pid(), std::nullopt);
  EXPECT_EQ(peer->uid(), ::geteuid());
}

TEST(Peer, WhatIsNoSocketHasNone) { EXPECT_FALSE(Peer::of(STDIN_FILENO)); }

}  // namespace
}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>

#include "support/daemon.h"

namespace memio::test {

inline constexpr std::chrono::seconds long_enough{20};

// Tests of commands and messages: other programs that handle and call, and what memiod has of them.
class MailTest : public DaemonTest {
 protected:
  using DaemonTest::DaemonTest;

  // A program that handles commands, each by a function of its own, for as long as the Process lives.
  using Handle = std::function<void(CommandCall call)>;
  [[nodiscard]] Process start_handler(const std::string& name, const Handle& handle) const {
    const Turnstile ready;
    auto child = Process::fork([&] {
      auto client = daemon_.connect();
      auto handler = client.handle(name);
      if (!handler) throw std::runtime_error(handler.error().text());
      ready.pass();
      for (;;) {
        auto call = handler->wait(std::chrono::milliseconds(-1));
        if (!call) return 1;
        handle(std::move(*call));
      }
    });
    ready.wait();
    return child;
  }

  // A client that receives already, so that what it asks for without waiting is on its way at once.
  [[nodiscard]] Client connect_receiving() const {
    auto client = daemon_.connect();
    if (auto emitted = client.emit("receiving"); !emitted) throw std::runtime_error(emitted.error().text());
    return client;
  }

  // A client that may do what is granted, of what `from` may do.
  static Client scoped(Client& from, std::vector<Grant> grants) {
    auto socket = from.open_connection(std::move(grants));
    EXPECT_TRUE(socket) << socket.error().text();
    return std::move(*Client::adopt(std::move(*socket)));
  }

  // Dispatches until `done`.
  template <class Done>
  static void dispatch_until(Client& client, Done done) {
    std::array<Event, 16> events;
    while (!done()) {
      pollfd readable{client.get_fd(), POLLIN, 0};
      ASSERT_EQ(::poll(&readable, 1, static_cast<int>(std::chrono::milliseconds(long_enough).count())), 1)
          << "nothing came";
      client.dispatch(events);
    }
  }

  // What memiod has of commands and messages, by the names of its metrics; what is zero is left out.
  [[nodiscard]] std::map<std::string, std::uint64_t> left_over() const {
    std::map<std::string, std::uint64_t> left;
    auto client = daemon_.connect();
    client.list_sessions().value();  // which looks what descriptors have been received
    const auto families = client.metrics().value();
    for (const auto& family : families)
      for (const std::string name :
           {"memio_commands", "memio_calls_under_way", "memio_listeners", "memio_user_commands", "memio_user_listens",
            "memio_user_calls", "memio_user_mail_bytes", "memio_user_fds", "memio_user_handles"})
        if (family.name == name)
          for (const auto& sample : family.samples)
            if (sample.value > 0) left[name] += sample.value;
    return left;
  }
  // Waits until memiod has noticed that all processes but this one have gone; then nothing of theirs is left.
  void expect_nothing_left_but(Client& client) const {
    const auto mine = static_cast<std::uint64_t>(::getpid());
    for (bool gone = false; !gone;) {
      const auto sessions = client.list_sessions();
      ASSERT_TRUE(sessions) << sessions.error().text();
      // Its own mail connection is scoped, and those of the dead are until memiod has noticed.
      gone = std::ranges::count_if(*sessions, &SessionInfo::scoped) <= 1 &&
             std::ranges::all_of(*sessions, [&](const SessionInfo& session) {
               return session.scoped ? session.commands + session.calls + session.handles == 0 : session.pid == mine;
             });
    }
    const auto left = left_over();
    EXPECT_TRUE(left.empty()) << left.begin()->first << " " << left.begin()->second;
  }
};

}  // namespace memio::test

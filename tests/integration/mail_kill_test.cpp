// SPDX-License-Identifier: MIT
// Handlers and callers that are killed at any moment: the other side always learns of it, and memiod is left with
// nothing of them. When exactly one dies is up to chance; MEMIO_SEED repeats what is asked for.

#include <signal.h>

#include <cstdlib>
#include <random>

#include "support/bytes.h"
#include "support/mail.h"

namespace memio::test {
namespace {

constexpr int deaths = 100;

std::uint32_t seed() {
  const char* given = std::getenv("MEMIO_SEED");
  const auto chosen = given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  std::printf("MEMIO_SEED=%u\n", chosen);
  return chosen;
}

class Deaths : public MailTest {
 protected:
  std::mt19937 random_{seed()};
  std::uint32_t pick(std::uint32_t most) { return std::uniform_int_distribution<std::uint32_t>(0, most)(random_); }

  // A region, bytes and a descriptor.
  static CallOptions with_attachments(const Region& region) {
    CallOptions options;
    options.attachments.push_back(std::move(*Attachment::of_region(region)));
    options.attachments.push_back(std::move(*Attachment::of_bytes(bytes("bytes"))));
    options.attachments.push_back(Attachment::of_descriptor(std::move(make_pipe().first)));
    return options;
  }
};

TEST_F(Deaths, OfHandlersAreToldToTheirCallers) {
  auto client = connect_receiving();
  auto region = client.create("r", {.capacity = 64});
  ASSERT_TRUE(region->write(bytes("x")));
  const auto before = daemon_.open_fds();
  for (int death = 0; death < deaths; ++death) {
    auto handler = start_handler("c", [](CommandCall call) {
      std::vector<Attachment> back;
      back.push_back(std::move(*Attachment::of_bytes(call.attachments().at(1).bytes().value())));
      ASSERT_TRUE(call.answer(call.arguments(), std::move(back)));
    });
    const auto calls = 1 + pick(40);
    const auto killed_after = pick(calls);
    std::uint32_t ended = 0;
    std::uint32_t answered = 0;
    bool killed = false;
    for (std::uint32_t i = 0; i < calls; ++i)
      client.call_async("c", std::to_string(i), with_attachments(*region), [&, i](const Result<CallAnswer>& answer) {
        ++ended;
        if (answer) {
          ++answered;
          EXPECT_EQ(answer->result, std::to_string(i));
        } else {
          EXPECT_TRUE(killed) << answer.error().text();
          EXPECT_TRUE(answer.error().code == Errc::handler_gone || answer.error().code == Errc::no_such_command)
              << answer.error().text();
        }
        if (answered < killed_after || killed) return;
        killed = true;
        handler.signal(SIGKILL);
      });
    if (killed_after == 0) {
      killed = true;
      handler.signal(SIGKILL);
    }
    dispatch_until(client, [&] { return ended == calls; });
    if (HasFatalFailure()) return;
    if (!killed) handler.signal(SIGKILL);
    handler.wait();
    while (client.call("c").error().code != Errc::no_such_command) {  // until memiod has noticed, too
    }
  }
  region = fail(Errc::misuse);
  expect_nothing_left_but(client);
  while (daemon_.open_fds() > before) ASSERT_TRUE(client.list());  // until all connections' ends are noticed
}

TEST_F(Deaths, OfCallersAreToldToTheHandler) {
  auto client = daemon_.connect();
  auto handler = client.handle("c", {1});
  ASSERT_TRUE(handler);
  const auto before = daemon_.open_fds();
  for (int death = 0; death < deaths; ++death) {
    auto caller = Process::fork([&] {
      auto calling = connect_receiving();
      auto region = calling.create("r" + std::to_string(::getpid()), {.capacity = 64});
      int waiting = 0;
      for (int i = 0;; ++i) {
        calling.call_async("c", std::to_string(i), with_attachments(*region),
                           [&](const Result<CallAnswer>&) { --waiting; });
        ++waiting;
        dispatch_until(calling, [&] { return waiting < 10; });
      }
      return 0;
    });
    std::vector<CommandCall> kept;
    const auto seen = 1 + pick(60);
    for (std::uint32_t i = 0; i < seen; ++i) {
      auto call = handler->wait(long_enough);
      ASSERT_TRUE(call) << call.error().text();
      if (pick(1) == 0) {
        ASSERT_TRUE(call->answer("[]"));
      } else {
        kept.push_back(std::move(*call));
      }
      if (kept.size() > 6) kept.erase(kept.begin());  // which is an answer, too
    }
    caller.signal(SIGKILL);
    caller.wait();
    // Those that came before memiod noticed are cancelled as well.
    dispatch_until(client, [&] {
      for (;;) {
        auto more = handler->next();
        EXPECT_TRUE(more);
        if (!more || !*more) break;
        kept.push_back(std::move(**more));
      }
      return std::all_of(kept.begin(), kept.end(), [](const CommandCall& call) { return call.cancelled(); });
    });
    if (HasFatalFailure()) return;
  }
  handler = fail(Errc::misuse);
  ASSERT_TRUE(client.emit("t"));
  expect_nothing_left_but(client);
  while (daemon_.open_fds() > before) ASSERT_TRUE(client.list());  // until all connections' ends are noticed
}

}  // namespace
}  // namespace memio::test

// SPDX-License-Identifier: MIT
#include "iceoryx_peer.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <string_view>

#include "iceoryx_posh/popo/publisher.hpp"
#include "iceoryx_posh/popo/subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

namespace memio::bench {

namespace {

// Waits until `text` is among what can be read from `fd`; false after `longest`, or if the writer ended.
bool wait_for_text(int fd, std::string_view text, std::chrono::milliseconds longest) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + longest;
  std::string seen;
  std::array<char, 4096> buffer;
  while (seen.find(text) == std::string::npos) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wanted{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&wanted, 1, static_cast<int>(left)) <= 0) return false;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n <= 0) return false;
    seen.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return true;
}

// Written before it is used as an argument.
std::string configuration(const std::string& directory) {
  const std::string path = directory + "/roudi.toml";
  std::ofstream(path) << "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = 1024\ncount = 256\n";
  return path;
}

iox::capro::IdString_t id(const std::string& text) { return {iox::cxx::TruncateToCapacity, text}; }

// iceoryx has one runtime a process, which is asked for before there can be ports.
const std::string& with_runtime(const std::string& name) {
  iox::runtime::PoshRuntime::initRuntime({iox::cxx::TruncateToCapacity, "memio-bench-" + name});
  return name;
}

class IceoryxEnd {
 public:
  IceoryxEnd(const std::string& own_name, const std::string& peer_name, Waiting waiting)
      : publisher_({id("memio-bench"), id("from"), id(with_runtime(own_name))}),
        subscriber_({id("memio-bench"), id("from"), id(peer_name)}),
        waiting_(waiting) {
    waitset_.attachState(subscriber_, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) {
      die("iceoryx: cannot attach a subscriber to a WaitSet");
    });
    // iceoryx 2.0 has no event for it.
    while (!publisher_.hasSubscribers() || subscriber_.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
      ::usleep(1000);
  }

  void send(const Packet& message) {
    publisher_.loan()
        .and_then([&](auto& sample) {
          *sample = message;
          sample.publish();
        })
        .or_else([](auto) { die("iceoryx: no chunk is free"); });
  }

  void receive(Packet& message) {
    for (bool received = false; !received;) {
      if (waiting_ == Waiting::sleeping) waitset_.wait();
      subscriber_.take().and_then([&](const auto& sample) {
        message = *sample;
        received = true;
      });
    }
  }

 private:
  iox::popo::Publisher<Packet> publisher_;
  iox::popo::Subscriber<Packet> subscriber_;
  iox::popo::WaitSet<> waitset_;
  Waiting waiting_;
};

}  // namespace

IceoryxPair::IceoryxPair(Waiting waiting, unsigned first_cpu, unsigned second_cpu)
    : roudi_(Process::run({"iox-roudi", "--config-file", configuration(directory_.path()), "--monitoring-mode", "off",
                           "--log-level", "error"},
                          {}, true)),
      ready_(wait_for_text(roudi_.output(), "RouDi is ready for clients", std::chrono::seconds(10))),
      measured_(must(::eventfd(0, EFD_CLOEXEC), "making an eventfd")) {
  if (!ready_) return;
  second_.emplace([=](Partner::Rounds rounds) {
    pin_to_cpu(second_cpu);
    IceoryxEnd end("second", "first", waiting);
    answer(end, rounds);
  });
  first_.emplace([=, this](Partner::Rounds rounds) {
    pin_to_cpu(first_cpu);
    IceoryxEnd end("first", "second", waiting);
    while (rounds.next()) {
      *seconds_ = bench::round_trip(end, *second_);
      const std::uint64_t one = 1;
      must(::write(measured_.get(), &one, sizeof one), "telling of a measurement");
    }
  });
}

IceoryxPair::~IceoryxPair() {
  first_.reset();
  second_.reset();
  roudi_.signal(SIGTERM);  // not killed: it removes its shared memory
  roudi_.wait();
}

double IceoryxPair::round_trip() {
  constexpr int longest = 60'000;
  first_->begin_round();
  pollfd wanted{measured_.get(), POLLIN, 0};
  if (::poll(&wanted, 1, longest) != 1) die("iceoryx: no round trip within a minute");
  std::uint64_t count = 0;
  must(::read(measured_.get(), &count, sizeof count), "waiting for a measurement");
  return *seconds_;
}

}  // namespace memio::bench

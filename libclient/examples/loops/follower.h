// SPDX-License-Identifier: MIT
#pragma once

// What all the loops beside this file run: it follows the region "clock", the stream "tape" and the topic "news", and
// prints what they bring. A loop only has to wait for fd() to be readable and then to call dispatch().

#include <memio/client.h>
#include <memio/command.h>
#include <memio/stream.h>

#include <array>
#include <iostream>
#include <string_view>

class Follower {
 public:
  // "clock" and "tape" must be there already.
  static memio::Result<Follower> start() {
    auto client = memio::Client::connect();
    if (!client) return memio::fail(client.error());
    auto clock = client->open("clock", memio::Access::read);
    if (!clock) return memio::fail(clock.error());
    auto tape = client->open_stream_reader("tape");
    if (!tape) return memio::fail(tape.error());
    auto news = client->listen("news", news_token);
    if (!news) return memio::fail(news.error());
    auto subscribed = clock->subscribe(clock_token);
    if (subscribed) subscribed = tape->subscribe(tape_token);
    if (!subscribed) return memio::fail(subscribed.error());
    return Follower(std::move(*client), std::move(*clock), std::move(*tape), std::move(*news));
  }

  // Readable when dispatch() has something to do; the same as long as this object lives.
  [[nodiscard]] int fd() const { return client_.get_fd(); }

  // Handles what has come, without waiting. False once the tape is at its end.
  bool dispatch() {
    std::array<memio::Event, 16> events;
    const std::size_t count = client_.dispatch(events);
    for (std::size_t i = 0; i < count; ++i) {
      if (events[i].token == clock_token) read_clock();
      if (events[i].token == tape_token) read_tape();
      if (events[i].token == news_token) read_news();
    }
    return !ended_;
  }

 private:
  static constexpr memio::Token clock_token{1}, tape_token{2}, news_token{3};

  Follower(memio::Client client, memio::Region clock, memio::StreamReader tape, memio::Listener news)
      : client_(std::move(client)), clock_(std::move(clock)), tape_(std::move(tape)), news_(std::move(news)) {}

  static void print(std::string_view what, std::span<const std::byte> bytes) {
    std::cout << what << ": " << std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) << std::endl;
  }

  // The newest publish. Those in between do not matter.
  void read_clock() {
    if (auto snapshot = clock_.read()) print("clock", snapshot->data());
  }

  // Every chunk: being told is once for all that are there.
  void read_tape() {
    for (;;) {
      auto chunk = tape_.next(std::chrono::milliseconds(0));
      if (!chunk && chunk.error().code == memio::Errc::timed_out) return;
      if (!chunk) std::cerr << chunk.error().text() << '\n';
      ended_ = !chunk || !*chunk;
      if (ended_) return;
      print("tape", (*chunk)->data());
    }
  }

  void read_news() {
    for (;;) {
      auto message = news_.next();
      if (!message || !*message) return;
      std::cout << "news: " << (*message)->payload << std::endl;
    }
  }

  memio::Client client_;
  memio::Region clock_;
  memio::StreamReader tape_;
  memio::Listener news_;
  bool ended_ = false;
};

// SPDX-License-Identifier: MIT
#pragma once

// Whose turn it is. Sessions are dispatched one after the other, each for a bounded piece of work, however much they
// have to do and however many there are.
//
// Their sockets are in the loop's epoll and not in sd-event's. sd-event asks its epoll anew before each callback and is
// told of all sockets that are ready, so with n busy sessions in it a round of them would cost n squared. And a session
// that has read more than it may handle in one turn wants another although its socket says nothing: those wait in a
// queue. A round takes a bounded number from each; between rounds the loop's other sources have their turn.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "event_loop.h"
#include "memio/unique_fd.h"

namespace memio::broker {

class Turns {
 public:
  using Clock = std::chrono::steady_clock;
  // `events`: what the socket is ready for; 0 if the turn was asked for.
  using OnTurn = std::function<void(std::uint32_t events)>;

  // A place in the round. Ends with the object, which may be destroyed within its own turn.
  class Seat {
   public:
    Seat() noexcept = default;
    Seat(Seat&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), id_(other.id_) {}
    Seat& operator=(Seat&& other) noexcept {
      std::swap(turns_, other.turns_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Seat() {
      if (turns_) turns_->leave(id_);
    }

    // Which of EPOLLIN, EPOLLOUT to wait for. The peer's hanging up is always told.
    void want(std::uint32_t events) noexcept { turns_->want(id_, events); }
    // A turn in the next round, whatever the socket says.
    void again() { turns_->again(id_); }
    // No turn before that time, unless the peer hangs up. Then one comes, whatever the socket says.
    void sleep(Clock::duration time) { turns_->sleep(id_, time); }

   private:
    friend class Turns;
    Seat(Turns* turns, std::uint64_t id) noexcept : turns_(turns), id_(id) {}
    Turns* turns_ = nullptr;
    std::uint64_t id_ = 0;
  };

  // Error: system.
  static Result<std::unique_ptr<Turns>> make(EventLoop& loop);
  ~Turns() { loop_.on_ready({}); }
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // `fd` is borrowed and must outlive the seat. It waits for EPOLLIN at first. Error: system.
  Result<Seat> join(int fd, OnTurn on_turn);

 private:
  struct Member {
    int fd = -1;
    std::shared_ptr<OnTurn> on_turn;  // shared, so that it lasts until its own call is over
    std::uint32_t wanted = 0;         // what its owner waits for
    std::uint32_t registered = 0;     // what the epoll waits for
    std::uint32_t ready = 0;          // told by the epoll, for the turn that is due
    bool queued = false;              // in again_
    bool asleep = false;
  };

  explicit Turns(EventLoop& loop) : loop_(loop) {}
  void leave(std::uint64_t id) noexcept;
  void want(std::uint64_t id, std::uint32_t events) noexcept;
  void again(std::uint64_t id);
  void sleep(std::uint64_t id, Clock::duration time);
  void wake_sleepers();
  void start_clock();
  void update(std::uint64_t id, Member& member) noexcept;
  // True if another round is wanted at once.
  bool round(std::span<const epoll_event> ready);
  void take_turns_of_woken(std::vector<std::uint64_t>& had_turns);
  void take_turn(std::uint64_t id);

  EventLoop& loop_;
  std::unordered_map<std::uint64_t, Member> members_;
  std::uint64_t last_id_ = 0;
  std::deque<std::uint64_t> again_;
  std::multimap<Clock::time_point, std::uint64_t> sleepers_;
  EventSource clock_;  // last, so gone before what its callback uses
};

}  // namespace memio::broker

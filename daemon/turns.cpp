// SPDX-License-Identifier: MIT
#include "turns.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace memio::broker {

namespace {

// Of a round, from the queue; as many as can be from the epoll.
constexpr std::size_t most_turns = EventLoop::most_ready;

// How exactly sleepers are woken.
constexpr std::chrono::milliseconds tick{10};

constexpr std::uint32_t hung_up = EPOLLHUP | EPOLLERR;

}  // namespace

Result<std::unique_ptr<Turns>> Turns::make(EventLoop& loop) {
  std::unique_ptr<Turns> turns(new Turns(loop));
  auto clock = loop.add_timer([t = turns.get()] { t->wake_sleepers(); }, std::chrono::milliseconds(1));
  if (!clock) return fail(std::move(clock.error()));
  turns->clock_ = std::move(*clock);
  loop.on_ready([t = turns.get()](std::span<const epoll_event> ready) { return t->round(ready); });
  return turns;
}

Result<Turns::Seat> Turns::join(int fd, OnTurn on_turn) {
  const auto id = ++last_id_;
  epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
  if (::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_ADD, fd, &event) != 0)
    return fail_errno(errno, "waiting for what a connection sends");
  members_.emplace(
      id,
      Member{
          .fd = fd, .on_turn = std::make_shared<OnTurn>(std::move(on_turn)), .wanted = EPOLLIN, .registered = EPOLLIN});
  return Seat(this, id);
}

void Turns::leave(std::uint64_t id) noexcept {
  const auto found = members_.find(id);
  ::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  // What is left of it in again_ and sleepers_ finds nobody there.
  members_.erase(found);
}

void Turns::update(std::uint64_t id, Member& member) noexcept {
  const std::uint32_t events = member.asleep ? 0 : member.wanted;
  if (member.registered == events) return;
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_MOD, member.fd, &event) == 0) member.registered = events;
}

void Turns::want(std::uint64_t id, std::uint32_t events) noexcept {
  Member& member = members_.at(id);
  member.wanted = events;
  update(id, member);
}

void Turns::again(std::uint64_t id) {
  Member& member = members_.at(id);
  if (member.queued || member.asleep) return;
  member.queued = true;
  again_.push_back(id);
  loop_.call_again();
}

void Turns::sleep(std::uint64_t id, Clock::duration time) {
  Member& member = members_.at(id);
  if (member.asleep) return;
  member.asleep = true;
  update(id, member);
  sleepers_.emplace(Clock::now() + time, id);
  start_clock();
}

void Turns::start_clock() {
  if (!sleepers_.empty()) clock_.start_timer(tick);
}

void Turns::wake_sleepers() {
  const auto now = Clock::now();
  while (!sleepers_.empty() && sleepers_.begin()->first <= now) {
    const auto id = sleepers_.begin()->second;
    sleepers_.erase(sleepers_.begin());
    const auto found = members_.find(id);
    if (found == members_.end()) continue;
    found->second.asleep = false;
    update(id, found->second);
    again(id);
  }
  start_clock();
}

bool Turns::round(std::span<const epoll_event> ready) {
  std::vector<std::uint64_t> due;
  while (!again_.empty() && due.size() < most_turns) {
    const auto found = members_.find(again_.front());
    if (found != members_.end()) {
      found->second.queued = false;
      due.push_back(again_.front());
    }
    again_.pop_front();
  }
  for (const auto& event : ready) {
    const std::uint64_t id = event.data.u64;  // an epoll_event is packed: nothing may refer into it
    Member& member = members_.at(id);
    member.ready = event.events;
    // Whoever waits in the queue has its turn when it comes there.
    if (!member.queued && std::ranges::find(due, id) == due.end()) due.push_back(id);
  }
  for (const auto id : due) take_turn(id);
  take_turns_of_woken(due);
  return !again_.empty();
}

// Those whom the others have given something to tell have their turn in the same round, without another look at the
// sockets; not those who ask for more for themselves.
void Turns::take_turns_of_woken(std::vector<std::uint64_t>& had_turns) {
  if (again_.empty()) return;
  std::ranges::sort(had_turns);
  std::vector<std::uint64_t> woken;
  for (std::size_t waiting = again_.size(); waiting > 0; --waiting) {
    const auto id = again_.front();
    again_.pop_front();
    if (woken.size() < most_turns && !std::ranges::binary_search(had_turns, id))
      woken.push_back(id);
    else
      again_.push_back(id);
  }
  for (const auto id : woken) {
    if (const auto found = members_.find(id); found != members_.end()) found->second.queued = false;
    take_turn(id);
  }
}

void Turns::take_turn(std::uint64_t id) {
  const auto found = members_.find(id);
  if (found == members_.end()) return;  // another's turn ended it
  const auto ready = std::exchange(found->second.ready, 0);
  if (found->second.asleep && (ready & hung_up) == 0) return;
  const auto on_turn = found->second.on_turn;
  (*on_turn)(ready);
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
// What a client does when memiod has gone: it looks for it, at once and then ever more rarely, and when it is back
// shows it every region that it still has and claims its handles again. A client without a path is given a new socket
// instead of looking, and does the same from there. When only the connection is lost on which it receives, the regions
// that came on it are claimed on the client's own.
//
// memiod takes a region that it does not know only from those who may create it. So whoever may not can be too early
// with its claim: it tries again as long as memiod keeps the cells of those who have not claimed theirs yet. So does
// whoever comes when memiod has no memory or no descriptor left, or has not noticed yet that the lost connection is.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>

#include "client_core.h"
#include "connect.h"
#include "mail.h"
#include "watcher.h"

namespace memio::detail {

namespace {

constexpr std::chrono::milliseconds first_delay{10};
constexpr std::chrono::milliseconds longest_delay{1000};
// memiod clears cells that nobody has claimed after five.
constexpr std::chrono::seconds time_for_claims{6};

// Copies of a region's descriptors, to be sent. Empty if there is no room for them.
std::vector<UniqueFd> copies(RegionMemory& memory) {
  std::vector<UniqueFd> fds;
  for (const int fd : {memory.region_fd(), memory.leases_fd(), memory.doorbell_fd()})
    fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!std::ranges::all_of(fds, &UniqueFd::valid)) fds.clear();
  return fds;
}

}  // namespace

// False if there is no timer to be had.
bool ClientCore::set_timer(std::chrono::milliseconds delay) noexcept {
  if (!retry_timer_.valid()) {
    retry_timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!retry_timer_.valid() || !poll_add(retry_timer_.get(), EPOLLIN, key(Kind::retry, 0))) return false;
  }
  itimerspec when{};
  when.it_value.tv_sec = delay.count() / 1000;
  when.it_value.tv_nsec = delay.count() % 1000 * 1'000'000 + 1;  // 0 would mean never
  return ::timerfd_settime(retry_timer_.get(), 0, &when, nullptr) == 0;
}

void ClientCore::start_retrying() noexcept {
  retry_delay_ = std::chrono::milliseconds(0);
  set_timer(retry_delay_);  // without a timer the next call looks for memiod
}

void ClientCore::retry() noexcept {
  std::uint64_t expired = 0;
  [[maybe_unused]] const auto n = ::read(retry_timer_.get(), &expired, sizeof expired);
  retry_delay_ = std::clamp(2 * retry_delay_, first_delay, longest_delay);
  try {
    if (connected_) return claim_refused();
    if (!can_reconnect() || reconnect()) return;
  } catch (const std::exception&) {
    // Out of memory; there is another try.
  }
  set_timer(retry_delay_);
}

Result<void> ClientCore::reconnect() {
  auto socket = connect_socket(path_, Blocking::no);
  if (!socket) return fail(std::move(socket.error()));
  return renew(std::move(*socket));
}

Result<void> ClientCore::renew(UniqueFd socket) {
  if (connected_) return fail(Errc::misuse, "the client has not lost its connection");
  if (auto made = make_blocking(socket.get()); !made) return made;
  if (auto added = poll_add(socket.get(), EPOLLIN, key(Kind::socket, 0)); !added) return added;
  if (mail_) mail_->pump();  // which notices if that connection is lost as well, as it mostly is
  channel_.emplace(std::move(socket), client_limits);
  connected_ = true;
  tell_reconnected_ = true;
  call_again();
  refused_.clear();
  begin_claims();
  for (std::size_t i = 0; connected_ && i < regions_.size(); ++i)
    if (!regions_[i]->on_mail() || !regions_[i]->handle()) claim(*regions_[i]);
  for (std::size_t i = 0; connected_ && i < sources_.size(); ++i)
    if (sources_[i].watcher) resume(*sources_[i].watcher);
  if (connected_ && mail_) mail_->on_reconnected();
  return {};
}

void ClientCore::begin_claims() noexcept {
  retry_delay_ = first_delay;
  claim_until_ = std::chrono::steady_clock::now() + time_for_claims;
}

void ClientCore::claim(OpenRegion& region) {
  RegionMemory& memory = region.memory();
  const Geometry& geometry = memory.geometry();
  const protocol::AttachParameters parameters{.name = region.info().name,
                                              .capacity = geometry.capacity,
                                              .slots = geometry.slots,
                                              .layout = geometry.layout,
                                              .lifetime = region.info().lifetime,
                                              .exclusive = region.info().exclusive,
                                              .huge_pages = geometry.huge_pages,
                                              .shrink_after = region.info().shrink_after,
                                              .access = memory.access(),
                                              .creator = region.is_creator(),
                                              .cell = memory.cell_index(),
                                              .cells = memory.cell_count(),
                                              .region_file_descriptor = 0,
                                              .leases_file_descriptor = 1,
                                              .doorbell_file_descriptor = 2};
  region.set_handle(std::nullopt);
  region.set_on_mail(false);  // wherever it came from
  auto fds = copies(memory);
  if (fds.empty()) return;
  auto claimed = [this, weak = region.weak_from_this()](const Result<Answer>& answer) {
    // What memiod refuses, a region that was removed for instance, stays as it is: mapped, and without a name.
    if (!answer) {
      constexpr std::array too_early{Errc::permission_denied, Errc::out_of_resources, Errc::not_the_region};
      if (std::ranges::find(too_early, answer.error().code) != too_early.end()) claim_later(weak);
      return;
    }
    const auto reply = protocol::parse_reply<protocol::AttachReply>(answer->parameters);
    if (!reply) return;
    if (const auto open = weak.lock())
      open->claimed(reply->id);
    else
      close_handle(reply->id);
  };
  send(encode(WrittenCall{protocol::attach_method, protocol::to_text(parameters)}),
       {.on_answer = std::move(claimed), .ours = true}, std::move(fds));
}

void ClientCore::claim_later(std::weak_ptr<OpenRegion> region) {
  if (std::chrono::steady_clock::now() >= claim_until_) return;
  refused_.push_back(std::move(region));
  set_timer(retry_delay_);
}

void ClientCore::claim_refused() {
  for (const auto& refused : std::exchange(refused_, {}))
    if (const auto region = refused.lock(); region && connected_) claim(*region);
}

void ClientCore::resume(Watcher::Impl& watcher) {
  auto opened = [weak = watcher.weak_from_this()](Result<Answer> answer) {
    const auto resumed = weak.lock();
    if (!resumed) return;
    if (!answer) return resumed->lose(answer.error());
    if (answer->fds.empty()) return resumed->lose(Error{Errc::protocol_violation});
    resumed->resume(std::move(answer->fds.front()));
  };
  const protocol::OpenConnectionParameters parameters;
  send(encode(WrittenCall{protocol::open_connection_method, protocol::to_text(parameters)}),
       {.on_answer = std::move(opened), .ours = true});
}

}  // namespace memio::detail

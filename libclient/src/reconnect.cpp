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

void ClientCore::set_timer(std::chrono::milliseconds delay) noexcept {
  itimerspec when{};
  when.it_value.tv_sec = delay.count() / 1000;
  when.it_value.tv_nsec = delay.count() % 1000 * 1'000'000 + 1;  // 0 would mean never
  ::timerfd_settime(retry_timer_.get(), 0, &when, nullptr);
}

void ClientCore::start_retrying() noexcept {
  retry_delay_ = std::chrono::milliseconds(0);
  set_timer(retry_delay_);
}

void ClientCore::retry() noexcept {
  std::uint64_t expired = 0;
  [[maybe_unused]] const auto n = ::read(retry_timer_.get(), &expired, sizeof expired);
  retry_delay_ = std::clamp(2 * retry_delay_, first_delay, longest_delay);
  try {
    if (connected_) return ask_again();
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
  memiod_stayed_ = false;
  asks_again_ = mail_due_ = false;
  begin_asking();
  for (auto* region : regions_) region->set_claim_due(!region->on_mail() || !region->handle());
  claim_due();
  for (std::size_t i = 0; connected_ && i < sources_.size(); ++i)
    if (sources_[i].watcher) resume(*sources_[i].watcher);
  if (connected_ && mail_) mail_->on_reconnected();
  return {};
}

void ClientCore::begin_asking() noexcept {
  retry_delay_ = first_delay;
  ask_until_ = std::chrono::steady_clock::now() + time_for_claims;
}

// A call that is sent may bring an answer to another, and regions may come and go with that.
void ClientCore::claim_due() {
  std::vector<std::weak_ptr<OpenRegion>> due;
  for (auto* region : regions_)
    if (region->claim_due()) due.push_back(region->weak_from_this());
  for (const auto& weak : due)
    if (const auto region = weak.lock(); region && connected_) claim(*region);
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
  region.set_claim_due(false);
  region.set_handle(std::nullopt);
  region.set_on_mail(false);  // wherever it came from
  auto fds = copies(memory);
  if (fds.empty()) return claim_later(region);
  auto claimed = [this, weak = region.weak_from_this()](const Result<Answer>& answer) {
    const auto open = weak.lock();
    // What memiod refuses, a region that was removed for instance, stays as it is: mapped, and without a name.
    if (!answer) {
      if (open && may_ask_again(answer.error().code)) claim_later(*open);
      return;
    }
    const auto reply = protocol::parse_reply<protocol::AttachReply>(answer->parameters);
    if (!reply) return;
    if (open)
      open->claimed(reply->id);
    else
      close_handle(reply->id);
  };
  send(encode(WrittenCall{protocol::attach_method, protocol::to_text(parameters)}),
       {.on_answer = std::move(claimed), .ours = true}, std::move(fds));
}

void ClientCore::claim_later(OpenRegion& region) noexcept {
  region.set_claim_due(true);
  ask_later();
}

bool ClientCore::may_ask_again(Errc reason) const noexcept {
  return reason == Errc::permission_denied || reason == Errc::out_of_resources ||
         (reason == Errc::not_the_region && memiod_stayed_);
}

bool ClientCore::ask_later() noexcept {
  if (std::chrono::steady_clock::now() >= ask_until_) return false;
  asks_again_ = true;
  set_timer(retry_delay_);
  return true;
}

bool ClientCore::open_mail_later() noexcept {
  mail_due_ = ask_later();
  return mail_due_;
}

void ClientCore::ask_again() {
  asks_again_ = false;
  claim_due();
  for (std::size_t i = 0; connected_ && i < sources_.size(); ++i)
    if (sources_[i].watcher && sources_[i].watcher->resume_due) resume(*sources_[i].watcher);
  if (std::exchange(mail_due_, false) && connected_) mail_->on_reconnected();
}

void ClientCore::resume(Watcher::Impl& watcher) {
  watcher.resume_due = false;
  auto opened = [this, weak = watcher.weak_from_this()](Result<Answer> answer) {
    const auto resumed = weak.lock();
    if (!resumed) return;
    auto socket = answer ? answer->take_fd(0) : Result<UniqueFd>(fail(answer.error()));
    if (socket) return resumed->resume(std::move(*socket));
    // A lack of something passes, as with claims.
    resumed->resume_due = socket.error().code == Errc::out_of_resources && ask_later();
    if (!resumed->resume_due) resumed->lose(std::move(socket.error()));
  };
  const protocol::OpenConnectionParameters parameters;
  send(encode(WrittenCall{protocol::open_connection_method, protocol::to_text(parameters)}),
       {.on_answer = std::move(opened), .ours = true});
}

}  // namespace memio::detail

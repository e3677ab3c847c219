// SPDX-License-Identifier: MIT
#include "open_region.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "client_core.h"
#include "shrink.h"

namespace memio {

namespace detail {

OpenRegion::OpenRegion(std::shared_ptr<ClientCore> core, RegionInfo info, std::uint64_t handle, bool creator,
                       RegionMemory memory)
    : core_(std::move(core)),
      info_(std::move(info)),
      handle_(handle),
      creator_(creator),
      memory_(std::move(memory)),
      writer_(memory_),
      reader_(memory_) {
  core_->add_region(*this);
}

OpenRegion::~OpenRegion() {
  unsubscribe();
  if (handle_) reader_.disarm();  // wait() leaves it as it is
  writer_.abort();
  core_->remove_region(*this);
  if (handle_) core_->close_handle(*handle_, on_mail_ ? ClientCore::Line::mail : ClientCore::Line::own);
}

void OpenRegion::claimed(std::uint64_t handle) noexcept {
  handle_ = handle;
  reader_.lease_again();
  if (subscription_) core_->look_again(*subscription_);  // which arms it
}

Result<std::optional<Reader::Leased>> OpenRegion::lease(std::optional<std::uint64_t> last_seen) {
  if (!memory_.geometry().classic()) return reader_.lease(last_seen, copies_.front().bytes);
  auto free = std::ranges::find(copies_, false, &Copy::in_use);
  if (free == copies_.end()) free = copies_.emplace(copies_.end());
  auto leased = reader_.lease(last_seen, free->bytes);
  if (!leased || !*leased) return leased;
  free->in_use = true;
  (*leased)->slot = static_cast<unsigned>(free - copies_.begin());
  return leased;
}

Result<std::optional<Snapshot>> OpenRegion::read(std::optional<std::uint64_t> last_seen) {
  auto leased = lease(last_seen);
  if (!leased) return fail(std::move(leased.error()));
  if (!*leased) return std::optional<Snapshot>();
  return std::optional<Snapshot>(snapshot(**leased));
}

Result<Snapshot> OpenRegion::read() {
  auto leased = lease(std::nullopt);
  if (!leased) return fail(std::move(leased.error()));
  return snapshot(**leased);
}

Snapshot OpenRegion::snapshot(const Reader::Leased& leased) noexcept {
  ++snapshots_;
  return {*this, leased.version, leased.sequence, leased.payload, leased.slot};
}

namespace {

Result<UniqueFd> doorbell_epoll(int doorbell) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno(errno, "creating an epoll");
  // By edge: the doorbell's counter is never read, and every ring is an edge for every epoll.
  epoll_event interest{EPOLLIN | EPOLLET, {}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, doorbell, &interest) != 0)
    return fail_errno(errno, "waiting for a region's doorbell");
  return epoll;
}

}  // namespace

Result<void> OpenRegion::need_wait_epoll() {
  if (wait_epoll_.valid()) return {};
  auto epoll = doorbell_epoll(memory_.doorbell_fd());
  if (!epoll) return fail(std::move(epoll.error()));
  wait_epoll_ = std::move(*epoll);
  return {};
}

Result<void> OpenRegion::wait_for_ring(const Deadline& deadline) {
  if (auto made = need_wait_epoll(); !made) return made;
  if (auto stepped = core_->step(deadline, wait_epoll_.get()); !stepped) return stepped;
  epoll_event event;
  ::epoll_wait(wait_epoll_.get(), &event, 1, 0);  // the ring was heard
  return {};
}

Result<std::uint64_t> OpenRegion::wait(std::uint64_t last_seen, std::chrono::milliseconds timeout) {
  if (subscription_)
    return fail(Errc::misuse, "wait() was called on a region that is subscribed; use Client::dispatch");
  if (auto made = need_wait_epoll(); !made) return fail(std::move(made.error()));
  const auto deadline = deadline_in(timeout);
  for (;;) {
    if (const auto sequence = reader_.sequence(); sequence != last_seen) return sequence;
    if (!reader_.arm(last_seen)) continue;
    epoll_event event;
    const int n = ::epoll_wait(wait_epoll_.get(), &event, 1, milliseconds_left(deadline));
    if (n < 0 && errno != EINTR) return fail_errno(errno, "waiting for a region's doorbell");
    if (n == 0 && is_past(deadline) && reader_.sequence() == last_seen) return fail(Errc::timed_out);
  }
}

Result<void> OpenRegion::subscribe(Token token, std::uint64_t last_seen) {
  unsubscribe();
  last_told_ = last_seen;
  auto added = core_->add_subscription(*this, memory_.doorbell_fd(), Event::Kind::region_changed, token);
  if (!added) return fail(std::move(added.error()));
  subscription_ = *added;
  return {};
}

Result<void> OpenRegion::subscribe_rings(Token token) {
  auto subscribed = subscribe(token, 0);
  tells_rings_ = subscribed.has_value();
  return subscribed;
}

void OpenRegion::unsubscribe() noexcept {
  if (!subscription_) return;
  core_->remove_subscription(*subscription_, memory_.doorbell_fd());
  subscription_.reset();
  tells_rings_ = false;
  reader_.disarm();
}

OpenRegion::Look OpenRegion::look() noexcept {
  if (tells_rings_) return {.changed = true, .armed = true};
  constexpr int tries = 16;
  Look look;
  for (int i = 0; i < tries && !look.armed; ++i) {
    const auto sequence = reader_.sequence();
    look.changed = look.changed || sequence != last_told_;
    last_told_ = sequence;
    look.armed = reader_.arm(sequence);
  }
  return look;
}

Result<std::span<std::byte>> OpenRegion::begin(std::size_t length) {
  // Without a deadline first: asking for the time costs more than all the rest of a publish that waits for nobody.
  auto payload = writer_.begin(length, at_once);
  if (!payload && payload.error().code == Errc::busy) begin_again(payload, length);
  return payload;
}

void OpenRegion::begin_again(Result<std::span<std::byte>>& payload, std::size_t length) {
  payload = writer_.begin(length, deadline_in(write_timeout_));
}

Result<std::uint64_t> OpenRegion::shrink() {
  if (writer_.begun()) return fail(Errc::misuse, "shrink() was called between begin() and commit()");
  return memio::shrink(memory_, reader_, writer_, deadline_in(write_timeout_));
}

void OpenRegion::close(std::shared_ptr<OpenRegion> open) noexcept {
  if (!open) return;
  open->unsubscribe();
  open->writer_.abort();
  auto& self = *open;
  if (self.snapshots_ > 0) self.outlived_ = std::move(open);
}

}  // namespace detail

Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  if (this == &other) return *this;
  if (region_) release();
  region_ = std::exchange(other.region_, nullptr);
  version_ = other.version_;
  sequence_ = other.sequence_;
  data_ = std::exchange(other.data_, {});
  slot_ = other.slot_;
  return *this;
}

void Snapshot::release() noexcept { std::exchange(region_, nullptr)->release(slot_); }

Region::Region(std::shared_ptr<detail::OpenRegion> open) noexcept : open_(std::move(open)) {}
Region::Region(Region&&) noexcept = default;
Region& Region::operator=(Region&& other) noexcept {
  if (this == &other) return *this;
  detail::OpenRegion::close(std::exchange(open_, std::move(other.open_)));
  return *this;
}
Region::~Region() { detail::OpenRegion::close(std::move(open_)); }

const RegionInfo& Region::info() const noexcept { return open_->info(); }
Access Region::access() const noexcept { return open_->memory().access(); }
std::uint64_t Region::sequence() const noexcept { return open_->reader().sequence(); }
int Region::file_descriptor() const noexcept { return open_->memory().region_fd(); }

Result<std::uint64_t> Region::write(std::span<const std::byte> payload, const std::optional<std::uint64_t>& version) {
  auto to = begin(payload.size());
  if (!to) return fail(std::move(to.error()));
  if (!payload.empty()) std::memcpy(to->data(), payload.data(), payload.size());
  return commit(version);
}

Result<std::span<std::byte>> Region::begin(std::size_t length) { return open_->begin(length); }
Result<std::uint64_t> Region::commit(const std::optional<std::uint64_t>& version) {
  return open_->writer().commit(version);
}
void Region::abort() noexcept { open_->writer().abort(); }
void Region::set_write_timeout(std::chrono::milliseconds timeout) noexcept { open_->set_write_timeout(timeout); }

Result<void> Region::prefault() { return open_->memory().prefault(); }
Result<std::uint64_t> Region::shrink() { return open_->shrink(); }

Result<Snapshot> Region::read() { return open_->read(); }
Result<std::optional<Snapshot>> Region::read(std::uint64_t last_seen) { return open_->read(last_seen); }

Result<Region::Copied> Region::read_into(std::span<std::byte> to) {
  if (const auto copied = open_->reader().copy_small(to))
    return Copied{copied->version, copied->sequence, copied->payload.size()};
  auto snapshot = read();
  if (!snapshot) return fail(std::move(snapshot.error()));
  const auto data = snapshot->data();
  if (data.size() > to.size())
    return fail(Errc::payload_too_large, "the payload has " + std::to_string(data.size()) +
                                             " bytes, there is room for " + std::to_string(to.size()));
  if (!data.empty()) std::memcpy(to.data(), data.data(), data.size());
  return Copied{snapshot->version(), snapshot->sequence(), data.size()};
}

Result<std::uint64_t> Region::wait(std::uint64_t last_seen, std::chrono::milliseconds timeout) {
  return open_->wait(last_seen, timeout);
}
Result<void> Region::subscribe(Token token, std::uint64_t last_seen) { return open_->subscribe(token, last_seen); }
void Region::unsubscribe() noexcept { open_->unsubscribe(); }

}  // namespace memio

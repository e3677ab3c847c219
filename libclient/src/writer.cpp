// SPDX-License-Identifier: MIT
#include "writer.h"

#include <unistd.h>

#include <bit>
#include <cerrno>

#include "fence.h"
#include "futex.h"
#include "pause.h"

namespace memio {

namespace {

constexpr int spins_before_sleep = 100;

}  // namespace

Result<std::span<std::byte>> Writer::begin(std::size_t length, const Deadline& deadline) {
  if (memory_.access() != protocol::Access::write) return fail(Errc::read_only);
  if (begun_) return fail(Errc::misuse, "begin() was called again before commit() or abort()");
  const Geometry& geometry = memory_.geometry();
  if (length > geometry.capacity) return fail(Errc::payload_too_large);
  if (!lock(deadline)) return fail(Errc::busy);

  auto& latest = memory_.directory().latest;
  latest_ = latest.load(std::memory_order_acquire);
  if (geometry.classic()) {
    // A seqlock: the mark tells readers to keep off. It also overwrites that of a writer that died half-way.
    latest_ = format::pack_latest(format::sequence_of(latest_), 0);
    slot_ = 0;
    next_version_ = memory_.load_header(0).version + 1;
    latest.store(latest_ | 1, std::memory_order_relaxed);
    seqlock_fence(std::memory_order_release);  // the mark is seen before any byte of the payload
  } else {
    const unsigned latest_slot = format::index_of(latest_);
    if (latest_slot >= geometry.slots) {
      unlock();
      return fail(Errc::corrupt);
    }
    const auto slot = free_slot(latest_slot, deadline);
    if (!slot) {
      unlock();
      return fail(slot.error());
    }
    slot_ = *slot;
    next_version_ = memory_.load_header(latest_slot).version + 1;
    // For Reader::copy_small(): whoever sees a byte that is written from here on sees that another slot became the
    // latest.
    seqlock_fence(std::memory_order_release);
  }
  begun_ = true;
  length_ = length;
  return memory_.payload(slot_).first(length);
}

Result<std::uint64_t> Writer::commit(const std::optional<std::uint64_t>& version) {
  if (!begun_) return fail(Errc::misuse, "commit() was called without begin()");
  begun_ = false;
  auto& directory = memory_.directory();
  // Whoever was evicted must not even write the header: the slot may be somebody else's by now.
  if ((directory.writer.load(std::memory_order_acquire) & ~format::writer_waiting) != own_mark())
    return fail(Errc::evicted);
  memory_.store_header(slot_,
                       {format::slot_magic(memory_.geometry().layout), version.value_or(next_version_), length_});
  const std::uint64_t sequence = format::sequence_of(latest_) + 1;
  std::uint64_t expected = memory_.geometry().classic() ? latest_ | 1 : latest_;
  const bool published = directory.latest.compare_exchange_strong(expected, format::pack_latest(sequence, slot_),
                                                                  std::memory_order_seq_cst);
  if (published) ring_if_armed(sequence);
  unlock();
  if (!published) return fail(Errc::evicted);
  return sequence;
}

void Writer::abort() noexcept {
  if (!begun_) return;
  begun_ = false;
  // A classic region stays marked as half-written, which it is.
  unlock();
}

bool Writer::lock(const Deadline& deadline) noexcept {
  // Sequentially consistent, because memiod looks at it without taking it before it shrinks a region.
  std::uint32_t seen = 0;
  if (memory_.directory().writer.compare_exchange_strong(seen, own_mark(), std::memory_order_seq_cst)) return true;
  return wait_for_lock(deadline);
}

bool Writer::wait_for_lock(const Deadline& deadline) noexcept {
  auto& word = memory_.directory().writer;
  std::uint32_t seen = 0;
  for (int i = 0; i < spins_before_sleep; ++i) {
    seen = 0;
    if (word.compare_exchange_strong(seen, own_mark(), std::memory_order_seq_cst)) return true;
    pause_cpu();
  }
  // From here on the lock is taken with the mark of waiting set: somebody else may sleep as well, and one wake too many
  // harms nobody.
  //
  // Whoever has slept may have been given the only wake-up of this unlock. So it tries once more even if its time is
  // up, and leaves the mark if it goes: then the next unlock wakes the next sleeper.
  for (bool slept = false;;) {
    seen = 0;
    if (word.compare_exchange_strong(seen, own_mark() | format::writer_waiting, std::memory_order_seq_cst)) return true;
    if (!slept && is_past(deadline)) return false;
    const std::uint32_t marked = seen | format::writer_waiting;
    if (seen != marked && !word.compare_exchange_strong(seen, marked, std::memory_order_relaxed)) continue;
    if (is_past(deadline)) return false;
    futex::wait(word, marked, deadline);
    slept = true;
  }
}

bool Writer::unlock() noexcept {
  auto& word = memory_.directory().writer;
  std::uint32_t expected = own_mark();
  if (word.compare_exchange_strong(expected, 0, std::memory_order_release)) return true;
  if (expected != (own_mark() | format::writer_waiting)) return false;
  if (!word.compare_exchange_strong(expected, 0, std::memory_order_release)) return false;
  futex::wake(word, 1);
  return true;
}

std::uint64_t Writer::free_slots(unsigned latest_slot) const noexcept {
  const std::uint64_t all = ~std::uint64_t{0} >> (64 - memory_.geometry().slots);
  return all & ~(leased() | std::uint64_t{1} << latest_slot);
}

Result<unsigned> Writer::free_slot(unsigned latest_slot, const Deadline& deadline) noexcept {
  // The lowest free slot: with fast readers a region then only ever uses two, and their memory stays in the caches.
  if (const auto free = free_slots(latest_slot); free != 0) return static_cast<unsigned>(std::countr_zero(free));
  return wait_for_slot(latest_slot, deadline);
}

Result<unsigned> Writer::wait_for_slot(unsigned latest_slot, const Deadline& deadline) noexcept {
  auto& wanted = memory_.lease_table().slot_wanted;
  for (bool announced = false;;) {
    if (is_past(deadline)) return fail(Errc::busy);
    if (announced && !futex::wait(wanted, 1, deadline)) return fail(Errc::busy);
    // Announce, then look again: a reader drops its lease and then looks for the announcement.
    wanted.store(1, std::memory_order_seq_cst);
    announced = true;
    if (const auto free = free_slots(latest_slot); free != 0) return static_cast<unsigned>(std::countr_zero(free));
  }
}

std::uint64_t Writer::leased() const noexcept {
  std::uint64_t leased = 0;
  for (const auto& cell : memory_.cells()) leased |= cell.leases.load(std::memory_order_seq_cst);
  return leased;
}

void Writer::ring_if_armed(std::uint64_t sequence) noexcept {
  for (const auto& cell : memory_.cells()) {
    if (cell.armed.load(std::memory_order_seq_cst) != sequence) continue;
    ring(memory_.doorbell_fd());
    return;
  }
}

void ring(int doorbell) noexcept {
  const std::uint64_t one = 1;
  // The counter is never read, so it only fills up if a hostile peer fills it. Empty it then, and ring again.
  while (::write(doorbell, &one, sizeof one) < 0 && (errno == EAGAIN || errno == EINTR)) {
    std::uint64_t drained = 0;
    if (::read(doorbell, &drained, sizeof drained) < 0 && errno != EAGAIN && errno != EINTR) return;
  }
}

}  // namespace memio

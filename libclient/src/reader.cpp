// SPDX-License-Identifier: MIT
#include "reader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <numeric>
#include <thread>

#include "deadline.h"
#include "fence.h"
#include "futex.h"

namespace memio {

namespace {

// A classic region's reader tries this often without a pause, and then, letting others run in between, for this long,
// before it reports that a write stays unfinished.
constexpr int tries_before_yield = 100;
constexpr std::chrono::milliseconds classic_patience{10};

// Up to here a copy that comes to nothing costs less than a lease.
#ifdef __SANITIZE_THREAD__
constexpr std::size_t small_payload = 0;  // the sanitizer cannot know that bytes that were torn are thrown away
#else
constexpr std::size_t small_payload = 4096;
#endif

constexpr std::uint64_t bit(unsigned slot) noexcept { return std::uint64_t{1} << slot; }

// A length may be as large as the region's capacity, which its creator chose.
bool grow(std::vector<std::byte>& copy, std::uint64_t length) noexcept {
  try {
    if (copy.size() < length) copy.resize(length);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

Result<std::optional<Reader::Leased>> Reader::lease(std::optional<std::uint64_t> last_seen,
                                                    std::vector<std::byte>& copy) {
  return memory_.geometry().classic() ? copy_classic(last_seen, copy) : lease_slot(last_seen);
}

Result<std::optional<Reader::Leased>> Reader::lease_slot(std::optional<std::uint64_t> last_seen) {
  auto& directory = memory_.directory();
  for (;;) {
    const std::uint64_t latest = directory.latest.load(std::memory_order_acquire);
    if (last_seen == format::sequence_of(latest)) return std::optional<Leased>();
    const unsigned slot = format::index_of(latest);
    if (slot >= memory_.geometry().slots) return fail(Errc::corrupt);
    if (counts_[slot] == 0) {
      set_leases(leases_ | bit(slot));
      if (directory.latest.load(std::memory_order_seq_cst) != latest) {
        // Too late: a writer may already be at work in the slot.
        end_lease(slot);
        continue;
      }
    }
    ++counts_[slot];
    const format::SlotHeader header = memory_.load_header(slot);
    if (auto checked = format::check_header(header, memory_.geometry()); !checked) {
      release(slot);
      return fail(Errc::corrupt);
    }
    return Leased{header.version, format::sequence_of(latest), memory_.payload(slot).first(header.length), slot};
  }
}

// A slot is not written while it is the latest. So bytes that were copied out of it are whole if it is still the
// latest, with the same sequence, after the last of them was read: a seqlock, whose mark is `latest` itself. The
// writer's fence in begin() is the other half of the one here.
//
// What it saves is the cell: a lease takes its cache line from the writer, and the writer's next look takes it back,
// which for a small payload costs as much as the payload.
std::optional<Reader::Leased> Reader::copy_small(std::span<std::byte> to) noexcept {
  auto& directory = memory_.directory();
  const std::uint64_t latest = directory.latest.load(std::memory_order_acquire);
  const unsigned slot = format::index_of(latest);
  if (memory_.geometry().classic() || slot >= memory_.geometry().slots) return std::nullopt;
  const format::SlotHeader header = memory_.load_header(slot);
  if (!format::check_header(header, memory_.geometry()) || header.length > std::min(to.size(), small_payload))
    return std::nullopt;
  if (header.length > 0) std::memcpy(to.data(), memory_.payload(slot).data(), header.length);
  seqlock_fence(std::memory_order_acquire);
  if (directory.latest.load(std::memory_order_relaxed) != latest) return std::nullopt;
  return Leased{header.version, format::sequence_of(latest), to.first(header.length), slot};
}

Result<std::optional<Reader::Leased>> Reader::copy_classic(std::optional<std::uint64_t> last_seen,
                                                           std::vector<std::byte>& copy) {
  auto& directory = memory_.directory();
  Deadline deadline;
  for (int i = 0; !is_past(deadline); ++i) {
    if (i >= tries_before_yield) {
      if (!deadline) deadline = Clock::now() + classic_patience;
      std::this_thread::yield();  // the writer may be waiting for this very CPU
    }
    const std::uint64_t before = directory.latest.load(std::memory_order_acquire);
    if (format::index_of(before) > 1) return fail(Errc::corrupt);
    if (format::index_of(before) == 1) continue;
    if (last_seen == format::sequence_of(before)) return std::optional<Leased>();
    const format::SlotHeader header = memory_.load_header(0);
    if (!format::check_header(header, memory_.geometry())) return fail(Errc::corrupt);
    if (!grow(copy, header.length)) return fail(Errc::out_of_resources);
    if (header.length > 0) std::memcpy(copy.data(), memory_.payload(0).data(), header.length);
    seqlock_fence(std::memory_order_acquire);
    // Programs that know only the header write it first or last: it too must not have moved.
    const format::SlotHeader after = memory_.load_header(0);
    if (directory.latest.load(std::memory_order_relaxed) == before && after.version == header.version &&
        after.length == header.length)
      return Leased{header.version, format::sequence_of(before), {copy.data(), header.length}, 0};
  }
  return fail(Errc::busy, "a writer has left the region half-written; the next write mends it");
}

bool Reader::hold(unsigned slot) noexcept {
  if (counts_[slot] != 0) return false;
  set_leases(leases_ | bit(slot));
  ++counts_[slot];
  return true;
}

void Reader::release(unsigned slot) noexcept {
  if (memory_.geometry().classic() || --counts_[slot] != 0) return;
  end_lease(slot);
}

void Reader::end_lease(unsigned slot) noexcept {
  set_leases(leases_ & ~bit(slot));
  // A writer may sleep because of this very lease, even of one that was taken too late and never used.
  auto& wanted = memory_.lease_table().slot_wanted;
  if (wanted.load(std::memory_order_seq_cst) == 0) return;
  wanted.store(0, std::memory_order_relaxed);
  futex::wake(wanted, std::numeric_limits<int>::max());
}

bool Reader::arm(std::uint64_t last_seen) noexcept {
  memory_.own_cell().armed.store(last_seen + 1, std::memory_order_seq_cst);
  const auto latest = memory_.directory().latest.load(std::memory_order_seq_cst);
  return format::sequence_of(latest) == last_seen;
}

unsigned Reader::leases() const noexcept { return std::accumulate(counts_.begin(), counts_.end(), 0U); }

void Reader::set_leases(std::uint64_t leases) noexcept {
  leases_ = leases;
  memory_.own_cell().leases.store(leases, std::memory_order_seq_cst);
}

}  // namespace memio

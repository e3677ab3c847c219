// SPDX-License-Identifier: MIT
#include "region.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace memio::broker {

namespace {

// The broker's own cell, for version notifications.
constexpr std::uint32_t own_cell = 0;

tl::unexpected<Error> no_resources(std::string doing) {
  return fail(Error{Errc::out_of_resources, errno, std::move(doing)});
}

// A memory file of a fixed size that can never be executed.
Result<UniqueFd> make_memfd(const std::string& name, std::uint64_t size) {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create(name.c_str(), flags | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd = UniqueFd(::memfd_create(name.c_str(), flags));  // before Linux 6.3
  if (!fd.valid()) return no_resources("creating shared memory");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return no_resources("reserving " + std::to_string(size) + " bytes of shared memory");
  // No F_SEAL_SEAL: an exclusive region is sealed against writing later. Nobody can undo these two.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) return no_resources("sealing shared memory");
  return fd;
}

template <class T>
Result<T*> map_shared(int fd, std::uint64_t offset, std::uint64_t size) {
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return no_resources("mapping shared memory");
  return static_cast<T*>(data);
}

Result<UniqueFd> dup_fd(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return no_resources("handing out a file descriptor");
  return copy;
}

void futex_wake_all(const std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

Result<std::shared_ptr<Region>> Region::create(Spec spec) {
  std::shared_ptr<Region> region(new Region(std::move(spec)));
  auto result = region->make_files();
  if (result) result = region->write_formats();
  if (!result) return fail(std::move(result.error()));
  return region;
}

Result<void> Region::make_files() {
  auto region = make_memfd("memio:" + spec_.name, spec_.geometry.total_size());
  if (!region) return fail(std::move(region.error()));
  region_ = std::move(*region);
  auto leases = make_memfd("memio-leases:" + spec_.name, format::lease_table_size(spec_.cells));
  if (!leases) return fail(std::move(leases.error()));
  leases_ = std::move(*leases);
  doorbell_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell_.valid()) return no_resources("creating a doorbell");
  auto directory = map_shared<format::Directory>(region_.get(), spec_.geometry.directory_offset(), page_size());
  if (!directory) return fail(std::move(directory.error()));
  directory_ = *directory;
  auto table = map_shared<format::LeaseTable>(leases_.get(), 0, format::lease_table_size(spec_.cells));
  if (!table) return fail(std::move(table.error()));
  lease_table_ = *table;
  return {};
}

Result<void> Region::write_formats() {
  format::initialise_directory(*directory_, spec_.geometry);
  format::initialise_lease_table(*lease_table_, spec_.cells);
  lease_table_->cells_used.store(own_cell + 1);
  taken_.assign(spec_.cells, false);
  taken_[own_cell] = true;
  // Only the first slot's header: a region nobody has published must read as empty, and the others cost memory.
  const auto header = format::initial_header(spec_.geometry.layout);
  if (::pwrite(region_.get(), &header, sizeof header, 0) != sizeof header) return no_resources("writing a slot header");
  return {};
}

Region::~Region() {
  if (directory_) ::munmap(directory_, page_size());
  if (lease_table_) ::munmap(lease_table_, format::lease_table_size(spec_.cells));
}

Result<std::uint32_t> Region::take_cell() {
  const auto found = std::find(taken_.begin(), taken_.end(), false);
  if (found == taken_.end())
    return fail(Errc::limit_exceeded, "the region " + spec_.name + " has all the " + std::to_string(spec_.cells - 1) +
                                          " handles that it can have");
  *found = true;
  ++handles_;
  const auto cell = static_cast<std::uint32_t>(found - taken_.begin());
  auto& used = lease_table_->cells_used;
  // Written from what we know, not from what the memory says.
  const auto last = std::find(taken_.rbegin(), taken_.rend(), true);
  used.store(static_cast<std::uint32_t>(taken_.rend() - last), std::memory_order_seq_cst);
  return cell;
}

void Region::give_back_cell(std::uint32_t cell) noexcept {
  taken_[cell] = false;
  --handles_;
  auto& entry = lease_table_->cells[cell];
  entry.armed.store(0, std::memory_order_seq_cst);
  entry.leases.store(0, std::memory_order_seq_cst);
  // The owner may have died after it changed a word and before it woke those who sleep on it, or after it was woken
  // itself in the place of another. So all are woken, whatever the words say; a wake too many harms nobody.
  lease_table_->slot_wanted.store(0, std::memory_order_seq_cst);
  futex_wake_all(lease_table_->slot_wanted);
  std::uint32_t holder = directory_->writer.load(std::memory_order_seq_cst);
  bool freed = false;
  while (!freed && (holder & ~format::writer_waiting) == cell + 1)
    freed = directory_->writer.compare_exchange_weak(holder, 0, std::memory_order_seq_cst);
  futex_wake_all(directory_->writer);
  if (freed) ring();  // it may have published without ringing
}

Result<Region::Fds> Region::fds_for(Access access) const {
  Fds fds;
  if (access == Access::write) {
    auto region = dup_fd(region_.get());
    if (!region) return fail(std::move(region.error()));
    fds.region = std::move(*region);
  } else {
    // A description of its own, opened for reading only.
    fds.region = UniqueFd(::open(("/proc/self/fd/" + std::to_string(region_.get())).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fds.region.valid()) return no_resources("opening shared memory for reading");
  }
  auto leases = dup_fd(leases_.get());
  if (!leases) return fail(std::move(leases.error()));
  fds.leases = std::move(*leases);
  auto doorbell = dup_fd(doorbell_.get());
  if (!doorbell) return fail(std::move(doorbell.error()));
  fds.doorbell = std::move(*doorbell);
  return fds;
}

Result<void> Region::seal_against_writing() noexcept {
  if (::fcntl(region_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0) return {};
  return no_resources("sealing the region against writing");
}

std::uint64_t Region::sequence() const noexcept {
  return format::sequence_of(directory_->latest.load(std::memory_order_acquire));
}

Region::Latest Region::latest() const noexcept {
  constexpr int tries = 8;
  for (int i = 0; i < tries; ++i) {
    // The latest slot is never written: if it still is the latest after the read, the header is whole.
    const auto before = directory_->latest.load(std::memory_order_seq_cst);
    const unsigned slot = geometry().classic() ? 0 : format::index_of(before);
    format::SlotHeader header{};
    if (slot < geometry().slots)
      [[maybe_unused]] const auto n =
          ::pread(region_.get(), &header, sizeof header, static_cast<off_t>(geometry().slot_offset(slot)));
    if (directory_->latest.load(std::memory_order_seq_cst) != before) continue;
    if (!format::check_header(header, geometry())) return {format::sequence_of(before), 0, 0};
    return {format::sequence_of(before), header.version, header.length};
  }
  return {sequence(), 0, 0};
}

std::uint64_t Region::memory_in_use() const noexcept {
  constexpr std::uint64_t block = 512;
  std::uint64_t bytes = 0;
  for (const int fd : {region_.get(), leases_.get()}) {
    struct stat status{};
    if (::fstat(fd, &status) == 0) bytes += static_cast<std::uint64_t>(status.st_blocks) * block;
  }
  return bytes;
}

std::vector<std::uint64_t> Region::leases_of(std::uint32_t cell) const {
  std::vector<std::uint64_t> slots;
  const auto leases = lease_table_->cells[cell].leases.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < geometry().slots; ++i)
    if ((leases >> i & 1) != 0) slots.push_back(i);
  return slots;
}

bool Region::is_writing(std::uint32_t cell) const noexcept {
  return (directory_->writer.load(std::memory_order_relaxed) & ~format::writer_waiting) == cell + 1;
}

bool Region::arm(std::uint64_t seen) noexcept {
  lease_table_->cells[own_cell].armed.store(seen + 1, std::memory_order_seq_cst);
  return format::sequence_of(directory_->latest.load(std::memory_order_seq_cst)) == seen;
}

void Region::ring() noexcept {
  const std::uint64_t one = 1;
  std::uint64_t drained = 0;
  // Whether the doorbell blocks is a flag that all openers share, and memiod must not block: set it anew.
  ::fcntl(doorbell_.get(), F_SETFL, O_NONBLOCK);
  // A full counter means that somebody filled it: empty it once and ring again.
  if (::write(doorbell_.get(), &one, sizeof one) < 0 && errno == EAGAIN &&
      ::read(doorbell_.get(), &drained, sizeof drained) > 0)
    [[maybe_unused]] const auto n = ::write(doorbell_.get(), &one, sizeof one);
}

void Region::disarm() noexcept { lease_table_->cells[own_cell].armed.store(0, std::memory_order_relaxed); }

protocol::Region Region::info() const {
  return {.name = spec_.name,
          .generation = spec_.generation,
          .layout = geometry().layout,
          .slots = geometry().slots,
          .capacity = geometry().capacity,
          .stride = geometry().stride,
          .lifetime = spec_.lifetime,
          .exclusive = spec_.exclusive,
          .sequence = sequence(),
          .handles = handles_};
}

}  // namespace memio::broker

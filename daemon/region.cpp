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
#include <bit>
#include <cerrno>
#include <climits>
#include <ctime>
#include <memory>

#include "memio/shrink.h"

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

// Whether the system had too little of something. If it only refused, that is for a reason which lies in what was
// shown.
bool is_lack(const Error& error) noexcept {
  return error.code == Errc::out_of_resources && error.system_errno != EACCES && error.system_errno != EPERM;
}

// A memory file of a fixed size that can never be executed.
// Unless `sealed_later`, no other seal can ever be set: an opener that set one could keep others from opening it.
Result<UniqueFd> make_memfd(const std::string& name, std::uint64_t size, bool sealed_later) {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create(name.c_str(), flags | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd = UniqueFd(::memfd_create(name.c_str(), flags));  // before Linux 6.3
  if (!fd.valid()) return no_resources("creating shared memory");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return no_resources("reserving " + std::to_string(size) + " bytes of shared memory");
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | (sealed_later ? 0 : F_SEAL_SEAL);
  if (::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) return no_resources("sealing shared memory");
  return fd;
}

template <class T>
Result<T*> map_shared(int fd, std::uint64_t offset, std::uint64_t size, bool writable = true) {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = ::mmap(nullptr, size, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return no_resources("mapping shared memory");
  return static_cast<T*>(data);
}

// Whether `fd` is a memory file of that size whose size can never change.
bool is_sealed_memfd(int fd, std::uint64_t size) {
  constexpr int needed = F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  struct stat status {};
  return seals >= 0 && (seals & needed) == needed && ::fstat(fd, &status) == 0 &&
         static_cast<std::uint64_t>(status.st_size) == size;
}

Result<bool> is_eventfd(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0) return false;  // that is but a place, which nobody can ring
  std::array<char, 64> target{};
  const auto path = "/proc/self/fd/" + std::to_string(fd);
  if (::readlink(path.c_str(), target.data(), target.size() - 1) < 0) return no_resources("looking at a doorbell");
  return std::string_view(target.data()) == "anon_inode:[eventfd]";
}

bool is_same_file(int a, int b) {
  struct stat one {};
  struct stat other {};
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

Result<UniqueFd> reopen(int fd, int flags) {
  UniqueFd opened(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags | O_CLOEXEC));
  if (!opened.valid()) return no_resources("opening shared memory");
  return opened;
}

Result<UniqueFd> dup_fd(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return no_resources("handing out a file descriptor");
  return copy;
}

// A lock on the byte of the lease table that stands for the cell.
struct flock lock_of(std::uint32_t cell, short type) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = cell;
  lock.l_len = 1;
  return lock;
}

std::chrono::microseconds now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_nsec / 1000);
}

void futex_wake_all(const std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

Region::Region(Spec spec) : spec_(std::move(spec)) {}

Result<std::shared_ptr<Region>> Region::create(Spec spec) {
  std::shared_ptr<Region> region(new Region(std::move(spec)));
  auto result = region->make_files();
  if (result) result = region->map_files();
  if (result) result = region->write_formats();
  if (!result) return fail(std::move(result.error()));
  return region;
}

Result<std::shared_ptr<Region>> Region::adopt(Spec spec, Fds fds, const std::optional<std::vector<bool>>& taken) {
  std::shared_ptr<Region> region(new Region(std::move(spec)));
  // Before anything else, because opening a file of another kind again could block or have effects of its own.
  if (::fcntl(fds.region.get(), F_GET_SEALS) < 0)
    return fail(Errc::not_the_region, "the region shown is no memory file");
  // The client's descriptor may be for reading only, and its flags are shared with it.
  auto reopened = reopen(fds.region.get(), O_RDWR);
  if (!reopened) return fail(std::move(reopened.error()));
  region->region_ = std::move(*reopened);
  // A client's is what its own cell is tied to.
  if (::fcntl(fds.leases.get(), F_GET_SEALS) < 0)
    return fail(Errc::not_the_region, "the lease table shown is no memory file");
  reopened = reopen(fds.leases.get(), O_RDWR);
  if (!reopened) return fail(std::move(reopened.error()));
  region->leases_ = std::move(*reopened);
  region->doorbell_ = std::move(fds.doorbell);
  auto result = region->check_files();
  if (result) result = region->map_files();
  if (result) result = format::check_directory(*region->directory_, region->geometry());
  if (!result)
    return fail(is_lack(result.error()) ? result.error() : Error{Errc::not_the_region, 0, result.error().text()});
  const auto used = region->lease_table_->cells_used.load(std::memory_order_seq_cst);
  region->cells_.assign(region->spec_.cells, CellState::free);
  const auto count = taken ? static_cast<std::uint32_t>(taken->size()) : used;
  for (std::uint32_t i = own_cell + 1; i < std::min(count, region->spec_.cells); ++i)
    if (!taken || (*taken)[i]) region->cells_[i] = CellState::unclaimed;
  region->cells_[own_cell] = CellState::taken;
  region->tied_cells_ = std::min(used, region->spec_.cells);
  // An earlier memiod may have died while it shrank, or when it had cleared the word and not woken anybody yet. For
  // what the cell is armed is left: one that hands over is armed as long as it may go on.
  region->set_own_leases(0);
  region->wake_for_slots();
  return region;
}

Result<void> Region::check_files() const {
  if (!is_sealed_memfd(region_.get(), spec_.geometry.total_size()))
    return fail(Errc::not_the_region, "the region shown is no sealed memory file of " +
                                          std::to_string(spec_.geometry.total_size()) + " bytes");
  if (!is_sealed_memfd(leases_.get(), format::lease_table_size(spec_.cells)))
    return fail(Errc::not_the_region, "the lease table shown is no sealed memory file of the right size");
  const auto doorbell = is_eventfd(doorbell_.get());
  if (!doorbell) return fail(doorbell.error());
  if (!*doorbell) return fail(Errc::not_the_region, "the doorbell shown is no eventfd");
  return {};
}

Result<void> Region::make_files() {
  auto region = make_memfd("memio:" + spec_.name, spec_.geometry.total_size(), spec_.exclusive);
  if (!region) return fail(std::move(region.error()));
  region_ = std::move(*region);
  auto leases = make_memfd("memio-leases:" + spec_.name, format::lease_table_size(spec_.cells), false);
  if (!leases) return fail(std::move(leases.error()));
  leases_ = std::move(*leases);
  doorbell_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell_.valid()) return no_resources("creating a doorbell");
  return {};
}

Result<void> Region::map_files() {
  sealed_ = (::fcntl(region_.get(), F_GET_SEALS) & F_SEAL_FUTURE_WRITE) != 0;
  auto directory =
      map_shared<format::Directory>(region_.get(), spec_.geometry.directory_offset(), page_size(), !sealed_);
  if (!directory) return fail(std::move(directory.error()));
  directory_ = *directory;
  struct stat status {};
  if (::fstat(region_.get(), &status) != 0) return no_resources("looking at shared memory");
  memory_file_ = {status.st_dev, status.st_ino};
  auto table = map_shared<format::LeaseTable>(leases_.get(), 0, format::lease_table_size(spec_.cells));
  if (!table) return fail(std::move(table.error()));
  lease_table_ = *table;
  return {};
}

Result<void> Region::write_formats() {
  format::initialise_directory(*directory_, spec_.geometry);
  format::initialise_lease_table(*lease_table_, spec_.cells);
  lease_table_->cells_used.store(own_cell + 1);
  set_generation(spec_.generation);
  cells_.assign(spec_.cells, CellState::free);
  cells_[own_cell] = CellState::taken;
  // Only the first slot's header: a region nobody has published must read as empty, and the others cost memory.
  const auto header = format::initial_header(spec_.geometry.layout);
  if (::pwrite(region_.get(), &header, sizeof header, 0) != sizeof header) return no_resources("writing a slot header");
  return {};
}

void Region::set_generation(std::uint64_t generation) noexcept {
  spec_.generation = generation;
  lease_table_->generation.store(generation);
}

void Region::note_removed() noexcept { lease_table_->removed.store(1); }

Region::Noted Region::noted() const noexcept {
  return {lease_table_->generation.load(), lease_table_->removed.load() != 0};
}

Region::~Region() {
  if (directory_) ::munmap(directory_, page_size());
  if (lease_table_) ::munmap(lease_table_, format::lease_table_size(spec_.cells));
}

Result<std::uint32_t> Region::take_cell() {
  const auto cell = find_free_cell();
  if (!cell)
    return fail(Errc::limit_exceeded, "the region " + spec_.name + " has all the " + std::to_string(spec_.cells - 1) +
                                          " handles that it can have");
  take(*cell);
  return *cell;
}

void Region::take(std::uint32_t cell) noexcept {
  cells_[cell] = CellState::taken;
  if (record_) record_->set_taken(cell, true);
  on_opened();
  // Written from what we know, not from what the memory says.
  const auto last = std::find_if(cells_.rbegin(), cells_.rend(), [](CellState c) { return c != CellState::free; });
  const auto used = static_cast<std::uint32_t>(cells_.rend() - last);
  constexpr int most_looks = 256;  // each looks through all locks of the file
  for (int i = 0; i < most_looks && tied_cells_ > used && !is_tied(tied_cells_ - 1); ++i) --tied_cells_;
  lease_table_->cells_used.store(std::max(used, tied_cells_), std::memory_order_seq_cst);
}

// An owner whose connection has ended may live, and go on storing leases in the cell that it has mapped. So that they
// do not end another's, such a cell is the last to be taken.
std::optional<std::uint32_t> Region::find_free_cell() const noexcept {
  std::optional<std::uint32_t> tied;
  for (std::uint32_t i = 0; i < cells_.size(); ++i) {
    if (cells_[i] != CellState::free) continue;
    if (!is_tied(i)) return i;
    if (!tied) tied = i;
  }
  return tied;
}

Result<void> Region::claim_cell(std::uint32_t cell) {
  const bool is_there = cell < cells_.size() &&
                        (cells_[cell] == CellState::unclaimed || (cells_[cell] == CellState::free && is_tied(cell)));
  if (!is_there)
    return fail(Errc::not_the_region, "the cell " + std::to_string(cell) + " of the region " + spec_.name +
                                          " is not to be claimed; open the region anew");
  take(cell);
  return {};
}

bool Region::has_unclaimed() const noexcept { return std::ranges::find(cells_, CellState::unclaimed) != cells_.end(); }

bool Region::creator_may_come() const noexcept {
  return creator_cell_ ? cells_[*creator_cell_] == CellState::unclaimed : has_unclaimed();
}

void Region::clear_abandoned() noexcept {
  for (std::uint32_t i = 0; i < cells_.size(); ++i)
    if (cells_[i] == CellState::unclaimed && !is_tied(i)) free_cell(i);
  if (handles_ == 0 && unused_since_.count() == 0 && !has_unclaimed()) set_unused_since(now());
}

// With a lock for reading, of which there can be several on a byte: one who was given the cell earlier and keeps its
// descriptor does not stand in the way. Should the lock fail, the handle is as safe as its owner is quick to come back.
void Region::tie_cell(std::uint32_t cell, const Fds& fds) noexcept {
  auto lock = lock_of(cell, F_RDLCK);
  ::fcntl(fds.leases.get(), F_OFD_SETLK, &lock);
}

bool Region::is_tied(std::uint32_t cell) const noexcept {
  auto lock = lock_of(cell, F_WRLCK);
  return ::fcntl(leases_.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool Region::is_tied_to(std::uint32_t cell, const Fds& fds) const noexcept {
  auto others = lock_of(cell, F_WRLCK);
  return cell < cells_.size() && is_tied(cell) && ::fcntl(fds.leases.get(), F_OFD_GETLK, &others) == 0 &&
         others.l_type == F_UNLCK;
}

bool Region::is_same_memory(const Fds& fds) const noexcept {
  return is_same_file(region_.get(), fds.region.get()) && is_same_file(leases_.get(), fds.leases.get());
}

Access Region::access_by(int fd) const noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  const bool writes = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
  return writes && !exclusive() ? Access::write : Access::read;
}

void Region::give_back_cell(std::uint32_t cell) noexcept {
  if (left_) return;
  if (--handles_ == 0) set_unused_since(now());
  const auto armed = free_cell(cell);
  tied_cells_ = std::max(tied_cells_, cell + 1);
  // If its owner lives, has only lost its connection, and sleeps, no publisher rings for it now, not even one that has
  // just published what it waits for: it is rung, and arms its cell again, where publishers go on looking.
  const auto sequence = format::sequence_of(directory_->latest.load(std::memory_order_seq_cst));
  if (armed != 0 && (armed == sequence || armed == sequence + 1) && is_tied(cell)) ring();
}

// The memory first: should memiod die between the two, the next one clears it again.
std::uint64_t Region::free_cell(std::uint32_t cell) noexcept {
  const auto armed = clear_cell(cell);
  cells_[cell] = CellState::free;
  if (record_) record_->set_taken(cell, false);
  if (creator_cell_ == cell) set_creator_cell(0);
  return armed;
}

void Region::on_opened() noexcept {
  if (++handles_ == 1) set_unused_since({});
}

void Region::set_unused_since(std::chrono::microseconds when) noexcept {
  unused_since_ = when;
  if (record_) record_->set_unused_since(when);
}

std::chrono::microseconds Region::unused_for() const noexcept {
  return unused_since_.count() == 0 ? unused_since_ : now() - unused_since_;
}

void Region::set_creator_cell(std::optional<std::uint32_t> cell) noexcept {
  creator_cell_ = cell;
  if (record_ && cell) record_->set_creator_cell(*cell);
}

std::vector<bool> Region::taken() const {
  std::vector<bool> taken(cells_.size());
  for (std::size_t i = own_cell + 1; i < cells_.size(); ++i) taken[i] = cells_[i] != CellState::free;
  return taken;
}

std::uint64_t Region::clear_cell(std::uint32_t cell) noexcept {
  auto& entry = lease_table_->cells[cell];
  const auto armed = entry.armed.exchange(0, std::memory_order_seq_cst);
  entry.leases.store(0, std::memory_order_seq_cst);
  // Cleared before the doorbell is rung: whoever is woken finds that the owner is gone.
  const bool willed = entry.will.exchange(0, std::memory_order_seq_cst) != 0;
  // The owner may have died after it changed a word and before it woke those who sleep on it, or after it was woken
  // itself in the place of another. So all are woken, whatever the words say; a wake too many harms nobody.
  wake_for_slots();
  const bool freed = free_writer_lock(cell);
  if (freed || willed) ring();  // freed: it may have published without ringing
  return armed;
}

// Whether this cell's owner had it, or may have had it.
bool Region::free_writer_lock(std::uint32_t cell) noexcept {
  if (sealed_) return true;  // its only writer was the creator
  std::uint32_t holder = directory_->writer.load(std::memory_order_seq_cst);
  bool freed = false;
  while (!freed && (holder & ~format::writer_waiting) == cell + 1)
    freed = directory_->writer.compare_exchange_weak(holder, 0, std::memory_order_seq_cst);
  futex_wake_all(directory_->writer);
  return freed;
}

Result<Region::Fds> Region::fds_for(Access access) const {
  // What is read can be opened again for writing until the region is sealed.
  if (access == Access::read && spec_.exclusive && !sealed_)
    return fail(Errc::permission_denied, "the region " + spec_.name + " is exclusive and not sealed yet; its creator " +
                                             "has it for itself until it calls Seal");
  Fds fds;
  if (access == Access::write) {
    auto region = dup_fd(region_.get());
    if (!region) return fail(std::move(region.error()));
    fds.region = std::move(*region);
  } else {
    // A description of its own, opened for reading only.
    auto region = reopen(region_.get(), O_RDONLY);
    if (!region) return fail(std::move(region.error()));
    fds.region = std::move(*region);
  }
  auto leases = reopen(leases_.get(), O_RDWR);
  if (!leases) return fail(std::move(leases.error()));
  fds.leases = std::move(*leases);
  auto doorbell = dup_fd(doorbell_.get());
  if (!doorbell) return fail(std::move(doorbell.error()));
  fds.doorbell = std::move(*doorbell);
  return fds;
}

Result<void> Region::seal_against_writing() noexcept {
  if (::fcntl(region_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0) {
    sealed_ = true;
    return {};
  }
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
    if (slot < geometry().slots) [[maybe_unused]]
      const auto n = ::pread(region_.get(), &header, sizeof header, static_cast<off_t>(geometry().slot_offset(slot)));
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
    struct stat status {};
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

std::uint64_t Region::lease_count() const noexcept {
  const auto slots = ~std::uint64_t{0} >> (64 - geometry().slots);
  std::uint64_t count = 0;
  for (std::uint32_t i = own_cell + 1; i < cells_.size(); ++i)
    if (cells_[i] != CellState::free)
      count += static_cast<std::uint64_t>(
          std::popcount(lease_table_->cells[i].leases.load(std::memory_order_relaxed) & slots));
  return count;
}

bool Region::is_writing(std::uint32_t cell) const noexcept {
  return (directory_->writer.load(std::memory_order_relaxed) & ~format::writer_waiting) == cell + 1;
}

void Region::wake_for_slots() noexcept {
  lease_table_->slot_wanted.store(0, std::memory_order_seq_cst);
  futex_wake_all(lease_table_->slot_wanted);
}

void Region::set_own_leases(std::uint64_t leases) noexcept {
  lease_table_->cells[own_cell].leases.store(leases, std::memory_order_seq_cst);
  if (leases == 0 && lease_table_->slot_wanted.load(std::memory_order_seq_cst) != 0) wake_for_slots();
}

Result<Region::ShrinkStep> Region::shrink_step(std::uint64_t place) {
  const auto slot = static_cast<unsigned>(place / geometry().stride);
  // The lease is for this step alone. If memiod dies in it the slot stays leased until the next memiod is here; so
  // there must be another for writers to go on with.
  if (!has_free_slot_beside(slot)) return ShrinkStep{.later = true};
  set_own_leases(std::uint64_t{1} << slot);
  auto step = shrink_leased(slot, place);
  set_own_leases(0);
  return step;
}

std::uint64_t Region::leases_of_others() const noexcept {
  const auto used = std::min(lease_table_->cells_used.load(std::memory_order_seq_cst), spec_.cells);
  return format::leases_of_others({lease_table_->cells, used}, own_cell);
}

bool Region::has_free_slot_beside(unsigned slot) const noexcept {
  const auto all = ~std::uint64_t{0} >> (64 - geometry().slots);
  const auto latest = format::index_of(directory_->latest.load(std::memory_order_seq_cst));
  return (all & ~(leases_of_others() | std::uint64_t{1} << latest | std::uint64_t{1} << slot)) != 0;
}

Result<Region::ShrinkStep> Region::shrink_leased(unsigned slot, std::uint64_t place) {
  constexpr std::uint64_t at_once = std::uint64_t{4} << 20;  // some milliseconds' work
  // A writer that is at work may have chosen this slot before it could see the lease. One that begins now sees it.
  if (directory_->writer.load(std::memory_order_seq_cst) != 0) return ShrinkStep{.later = true};
  const auto latest = directory_->latest.load(std::memory_order_seq_cst);
  auto extent = format::unneeded_part(region_.get(), geometry(), slot, latest, leases_of_others());
  const auto end = geometry().slot_offset(slot + 1);
  if (extent.length == 0) return ShrinkStep{.next = end, .later = format::index_of(latest) != slot};
  extent.offset = std::max(extent.offset, place);
  extent.length = std::min(end - extent.offset, at_once);
  auto freed = format::punch_hole(region_.get(), extent);
  if (!freed) return fail(std::move(freed.error()));
  return ShrinkStep{.next = extent.offset + extent.length};
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
      ::read(doorbell_.get(), &drained, sizeof drained) > 0) [[maybe_unused]]
    const auto n = ::write(doorbell_.get(), &one, sizeof one);
}

void Region::disarm() noexcept { lease_table_->cells[own_cell].armed.store(0, std::memory_order_relaxed); }

protocol::Region Region::info() const {
  std::optional<std::uint64_t> shrink_after;
  if (spec_.shrink_after) shrink_after = static_cast<std::uint64_t>(spec_.shrink_after->count());
  return {.name = spec_.name,
          .generation = spec_.generation,
          .layout = geometry().layout,
          .slots = geometry().slots,
          .capacity = geometry().capacity,
          .stride = geometry().stride,
          .lifetime = spec_.lifetime,
          .exclusive = spec_.exclusive,
          .huge_pages = geometry().huge_pages,
          .shrink_after = shrink_after,
          .sequence = sequence(),
          .handles = handles_};
}

}  // namespace memio::broker

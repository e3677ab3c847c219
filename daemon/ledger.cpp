// SPDX-License-Identifier: MIT
#include "ledger.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace memio::broker {

namespace {

constexpr std::uint64_t ledger_magic = 0x4745'4C4F'494D'454D;  // "MEMIOLEG"
constexpr std::uint32_t ledger_version = 1;
constexpr std::uint64_t header_size = 4096;
constexpr std::uint32_t records_at_once = 256;
constexpr std::uint32_t unknown_cell = ~std::uint32_t{0};
constexpr std::size_t longest_name = 200;
constexpr std::size_t bits = 64;

enum State : std::uint32_t { unused = 0, counts = 1 };
enum Flag : std::uint32_t { exclusive = 1, huge_pages = 2, nameless = 4 };

tl::unexpected<Error> no_resources(std::string doing) {
  return fail(Error{Errc::out_of_resources, errno, std::move(doing)});
}

}  // namespace

struct Ledger::Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t record_size;
  std::atomic<std::uint64_t> last_generation;
};

struct Ledger::Record {
  std::atomic<std::uint32_t> state;
  std::atomic<std::uint32_t> flags;
  std::uint64_t generation;
  std::uint64_t capacity;
  std::uint64_t shrink_after;  // milliseconds; 0: none
  std::uint64_t region_inode;
  std::uint64_t leases_inode;
  std::atomic<std::uint64_t> unused_since;  // microseconds; 0: it is open
  std::uint32_t slots;
  std::uint32_t cells;
  std::atomic<std::uint32_t> creator_cell;
  std::uint8_t layout;
  std::uint8_t lifetime;
  std::uint8_t name_length;
  std::array<char, longest_name> name;
  std::uint32_t owner;  // the user's number + 1; 0: not known, as in records from before it was kept
  std::array<std::uint8_t, 236> reserved;
  std::array<std::atomic<std::uint64_t>, format::max_cells / bits> taken;
};

Result<Ledger> Ledger::make() {
  static_assert(sizeof(Record) == 1024, "the size is part of the format");
  UniqueFd file(::memfd_create("memiod-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return no_resources("creating the ledger");
  Ledger ledger(std::move(file));
  if (auto grown = ledger.grow(); !grown) return fail(std::move(grown.error()));
  ledger.header().record_size = sizeof(Record);
  ledger.header().version = ledger_version;
  ledger.header().magic = ledger_magic;
  return ledger;
}

Result<Ledger> Ledger::read(UniqueFd file) {
  struct stat status {};
  if (::fcntl(file.get(), F_GET_SEALS) < 0 || ::fstat(file.get(), &status) != 0)
    return fail(Errc::corrupt, "the ledger is no memory file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < header_size || (size - header_size) % sizeof(Record) != 0)
    return fail(Errc::corrupt, "the ledger has a wrong size, " + std::to_string(size) + " bytes");
  Ledger ledger(std::move(file));
  if (auto mapped = ledger.map(size); !mapped) return fail(std::move(mapped.error()));
  if (auto checked = ledger.check_header(); !checked) return fail(std::move(checked.error()));
  const auto records = static_cast<Index>((size - header_size) / sizeof(Record));
  for (Index i = records; i-- > 0;)
    if (ledger.record(i).state.load(std::memory_order_acquire) != State::counts) ledger.free_.push_back(i);
  return ledger;
}

Result<void> Ledger::check_header() const {
  const Header& found = header();
  if (found.magic != ledger_magic) return fail(Errc::corrupt, "the ledger does not begin as one");
  if (found.version != ledger_version || found.record_size != sizeof(Record))
    return fail(Errc::corrupt, "the ledger is of version " + std::to_string(found.version) + " with records of " +
                                   std::to_string(found.record_size) + " bytes; this memiod reads version " +
                                   std::to_string(ledger_version) + " with records of " +
                                   std::to_string(sizeof(Record)));
  return {};
}

Ledger::Ledger(Ledger&& other) noexcept
    : file_(std::move(other.file_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      free_(std::move(other.free_)) {}

Ledger::~Ledger() {
  if (memory_) ::munmap(memory_, size_);
}

Result<void> Ledger::map(std::uint64_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (memory == MAP_FAILED) return no_resources("mapping the ledger");
  if (memory_) ::munmap(memory_, size_);
  memory_ = static_cast<std::byte*>(memory);
  size_ = size;
  return {};
}

Result<void> Ledger::grow() {
  const auto old_size = std::max(size_, header_size);
  const auto size = old_size + records_at_once * sizeof(Record);
  // Pages that are not there would be found out by a store, which cannot fail but by a signal.
  errno = ::posix_fallocate(file_.get(), 0, static_cast<off_t>(size));  // which it returns instead
  if (errno != 0) return no_resources("extending the ledger");
  if (auto mapped = map(size); !mapped) return mapped;
  const auto first = static_cast<Index>((old_size - header_size) / sizeof(Record));
  for (Index i = first + records_at_once; i-- > first;) free_.push_back(i);
  return {};
}

Ledger::Header& Ledger::header() const noexcept { return *reinterpret_cast<Header*>(memory_); }

Ledger::Record& Ledger::record(Index index) const noexcept {
  return *reinterpret_cast<Record*>(memory_ + header_size + index * sizeof(Record));
}

Result<Ledger::Index> Ledger::add(const RegionRecord& added) {
  if (free_.empty())
    if (auto grown = grow(); !grown) return fail(std::move(grown.error()));
  const Index index = free_.back();
  const auto& spec = added.spec;
  Record& to = record(index);
  to.flags.store((spec.exclusive ? Flag::exclusive : 0U) | (spec.geometry.huge_pages ? Flag::huge_pages : 0U) |
                 (added.nameless ? Flag::nameless : 0U));
  to.generation = spec.generation;
  to.capacity = spec.geometry.capacity;
  to.shrink_after = spec.shrink_after ? static_cast<std::uint64_t>(spec.shrink_after->count()) : 0;
  to.region_inode = added.region_inode;
  to.leases_inode = added.leases_inode;
  to.slots = spec.geometry.slots;
  to.cells = spec.cells;
  to.creator_cell.store(added.creator_cell.value_or(unknown_cell));
  to.layout = static_cast<std::uint8_t>(spec.geometry.layout);
  to.lifetime = static_cast<std::uint8_t>(spec.lifetime);
  to.name_length = static_cast<std::uint8_t>(spec.name.copy(to.name.data(), to.name.size()));
  to.owner = added.owner ? *added.owner + 1 : 0;
  for (auto& word : to.taken) word.store(0);
  for (std::uint32_t cell = 0; cell < added.taken.size(); ++cell)
    if (added.taken[cell]) set_taken(index, cell, true);
  set_unused_since(index, added.unused_since);
  to.state.store(State::counts, std::memory_order_release);
  free_.pop_back();
  return index;
}

void Ledger::erase(Index index) noexcept {
  record(index).state.store(State::unused, std::memory_order_release);
  free_.push_back(index);
}

std::vector<Ledger::Index> Ledger::indices() const {
  std::vector<Index> found;
  for (Index i = 0; i < (size_ - header_size) / sizeof(Record); ++i)
    if (record(i).state.load(std::memory_order_acquire) == State::counts) found.push_back(i);
  return found;
}

Result<RegionRecord> Ledger::get(Index index) const {
  const Record& from = record(index);
  const auto flags = from.flags.load();
  if (from.name_length > longest_name || from.layout > static_cast<std::uint8_t>(protocol::Layout::memio24) ||
      from.lifetime > static_cast<std::uint8_t>(protocol::Lifetime::persistent) || from.cells < 2 ||
      from.cells > format::max_cells)
    return fail(Errc::corrupt, "record " + std::to_string(index) + " of the ledger cannot be true");
  auto geometry =
      Geometry::make(static_cast<Layout>(from.layout), from.slots, from.capacity, (flags & Flag::huge_pages) != 0);
  if (!geometry) return fail(Errc::corrupt, geometry.error().text());
  RegionRecord found{.spec = {.name = std::string(from.name.data(), from.name_length),
                              .geometry = *geometry,
                              .lifetime = static_cast<protocol::Lifetime>(from.lifetime),
                              .generation = from.generation,
                              .cells = from.cells,
                              .exclusive = (flags & Flag::exclusive) != 0},
                     .region_inode = from.region_inode,
                     .leases_inode = from.leases_inode,
                     .taken = std::vector<bool>(from.cells),
                     .nameless = (flags & Flag::nameless) != 0,
                     .unused_since = std::chrono::microseconds(from.unused_since.load())};
  if (from.shrink_after != 0) found.spec.shrink_after = std::chrono::milliseconds(from.shrink_after);
  if (const auto cell = from.creator_cell.load(); cell != unknown_cell) found.creator_cell = cell;
  if (from.owner != 0) found.owner = from.owner - 1;
  for (std::uint32_t cell = 0; cell < from.cells; ++cell)
    found.taken[cell] = (from.taken[cell / bits].load(std::memory_order_relaxed) >> cell % bits & 1) != 0;
  return found;
}

void Ledger::set_taken(Index index, std::uint32_t cell, bool taken) noexcept {
  const auto bit = std::uint64_t{1} << cell % bits;
  auto& word = record(index).taken[cell / bits];
  const auto others = word.load(std::memory_order_relaxed) & ~bit;
  word.store(taken ? others | bit : others, std::memory_order_relaxed);
}

void Ledger::set_creator_cell(Index index, std::uint32_t cell) noexcept { record(index).creator_cell.store(cell); }

void Ledger::set_nameless(Index index) noexcept { record(index).flags.fetch_or(Flag::nameless); }

void Ledger::set_unused_since(Index index, std::chrono::microseconds when) noexcept {
  record(index).unused_since.store(static_cast<std::uint64_t>(when.count()));
}

std::uint64_t Ledger::last_generation() const noexcept { return header().last_generation.load(); }

void Ledger::raise_generation(std::uint64_t generation) noexcept {
  if (generation > last_generation()) header().last_generation.store(generation);
}

}  // namespace memio::broker

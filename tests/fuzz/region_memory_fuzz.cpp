// SPDX-License-Identifier: MIT
// A region whose memory holds random bytes: directory, slot headers, lease table. Mapping, reading and writing report
// what is wrong or work; nothing outside the region is touched (the address sanitizer and the kernel watch).

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numeric>
#include <vector>

#include "fuzz.h"
#include "reader.h"
#include "region_memory.h"
#include "shrink.h"
#include "writer.h"

namespace {

using memio::Errc;
using memio::Geometry;
using memio::Layout;
using memio::Mapping;
using memio::RegionMemory;
using memio::UniqueFd;
using memio::fuzz::Input;
using memio::fuzz::require;
using memio::protocol::Access;

constexpr std::uint32_t cells = 8;
constexpr std::uint64_t capacity = 100;

UniqueFd make_file(std::uint64_t size) {
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  require(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  return fd;
}

UniqueFd dup_fd(const UniqueFd& fd) { return UniqueFd(::dup(fd.get())); }

// A few bytes of the memory get random values; most stay as they are, so that checks that come later are reached as
// well.
void damage(Input& input, Mapping& mapping, std::uint64_t start, std::uint64_t length) {
  for (int i = input.byte() % 8; i > 0; --i) {
    const auto offset = start + input.number<std::uint16_t>() % (length / 8) * 8;
    const auto value = input.number<std::uint64_t>();
    std::memcpy(mapping.data() + offset, &value, sizeof value);
  }
}

void use(RegionMemory& memory, Input& input) {
  memio::Reader reader(memory);
  memio::Writer writer(memory);
  std::vector<std::byte> copy;
  std::vector<unsigned> leases;
  for (int i = 0; i < 8; ++i) {
    const auto what = input.byte();
    const auto lease = reader.lease(what % 2 == 0 ? std::optional<std::uint64_t>(what / 2) : std::nullopt, copy);
    if (lease && *lease) {
      require((*lease)->payload.size() <= capacity);
      // Reads every byte.
      const auto sum =
          std::accumulate((*lease)->payload.begin(), (*lease)->payload.end(), 0U,
                          [](unsigned total, std::byte byte) { return total + static_cast<unsigned>(byte); });
      require(sum <= capacity * 255);
      leases.push_back((*lease)->slot);
    } else if (!lease) {
      require(lease.error().code == Errc::corrupt || lease.error().code == Errc::busy);
      if (lease.error().code == Errc::busy) return;  // a classic region that stays half-written costs time to find out
    }
    const auto payload = writer.begin(what % 128U, memio::Clock::now());
    if (payload) {
      require(payload->size() == what % 128U && payload->size() <= capacity);
      std::ranges::fill(*payload, std::byte{what});
      if (what % 4 == 0)
        writer.abort();
      else
        (void)writer.commit(what).has_value();
    }
    if (what % 16 == 5) {
      const auto freed = memio::shrink(memory, reader, writer, memio::at_once);
      require(freed || freed.error().code == Errc::busy || freed.error().code == Errc::evicted ||
              freed.error().code == Errc::corrupt);
    }
    (void)reader.arm(what);
    if (what % 3 == 0 && !leases.empty()) {
      reader.release(leases.back());
      leases.pop_back();
    }
  }
  for (const unsigned slot : leases) reader.release(slot);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto kind = input.byte();
  const unsigned slots = kind % 4 == 0 ? 1 : kind % 4 == 3 ? 64 : kind % 4 + 1;
  const auto geometry = Geometry::make(kind & 4 ? Layout::memio24 : Layout::memio64, slots, capacity).value();
  const auto region = make_file(geometry.total_size());
  const auto leases = make_file(memio::format::lease_table_size(cells));
  const UniqueFd doorbell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto region_map = Mapping::map(region.get(), geometry.total_size(), Access::write).value();
  auto leases_map = Mapping::map(leases.get(), memio::format::lease_table_size(cells), Access::write).value();
  auto& directory = *reinterpret_cast<memio::format::Directory*>(region_map.data() + geometry.directory_offset());
  memio::format::initialise_directory(directory, geometry);
  memio::format::initialise_lease_table(*reinterpret_cast<memio::format::LeaseTable*>(leases_map.data()), cells);
  const auto header = memio::format::initial_header(geometry.layout);
  for (unsigned slot = 0; slot < slots; ++slot)
    std::memcpy(region_map.data() + geometry.slot_offset(slot), &header, sizeof header);

  if (kind & 8) damage(input, region_map, geometry.directory_offset(), sizeof(memio::format::Directory));
  auto memory = RegionMemory::map(
      {dup_fd(region), dup_fd(leases), dup_fd(doorbell), geometry, Access::write, input.byte() % cells, cells});
  if (!memory) {
    require(memory.error().code == Errc::corrupt && !memory.error().message.empty());
    return 0;
  }
  for (int i = 0; i < 3; ++i) {
    // `latest` and the writer lock, the headers, the lease table.
    damage(input, region_map, geometry.directory_offset() + 64, 128);
    for (unsigned slot = 0; slot < slots; ++slot)
      if (input.byte() & 1) damage(input, region_map, geometry.slot_offset(slot), sizeof header);
    damage(input, leases_map, 0, 256 + cells * 64);
    use(*memory, input);
  }
  return 0;
}

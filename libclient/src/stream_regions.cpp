// SPDX-License-Identifier: MIT
#include "stream_regions.h"

#include <algorithm>

namespace memio {

namespace {

// How long one who opens waits for one who creates to publish the ring, which it does right after making its region.
constexpr std::chrono::seconds patience{1};

format::StreamSide& side_of(const StreamRing& ring, StreamRole role) noexcept {
  return role == StreamRole::writer ? ring.writer() : ring.reader();
}

}  // namespace

Result<StreamRegions> StreamRegions::create(Client& client, std::shared_ptr<detail::ClientCore> core,
                                            std::string_view name, const StreamShape& shape, StreamRole role) {
  StreamRegions made(std::move(core), role);
  made.regions_.reserve(std::size_t{shape.buffers} + 1);
  for (std::uint32_t i = 0; i < shape.buffers; ++i)
    if (auto created = made.create_region(client, format::buffer_name(name, i), shape.chunk_size); !created)
      return fail(std::move(created.error()));
  const auto size = format::ring_size(shape.buffers);
  if (auto created = made.create_region(client, format::ring_name(name), size); !created)
    return fail(std::move(created.error()));
  std::rotate(made.regions_.begin(), made.regions_.end() - 1, made.regions_.end());  // the ring comes first

  auto memory = made.regions_.front().begin(size);
  if (!memory) return fail(std::move(memory.error()));
  format::initialise_ring(*memory, shape);
  auto ring = StreamRing::over(*memory);
  if (!ring) return fail(std::move(ring.error()));
  made.ring_ = *ring;
  RegionAccess::set_will(made.own());
  side_of(*ring, role).joined.store(RegionAccess::memory(made.own()).cell_index() + 1, std::memory_order_seq_cst);
  if (auto published = made.regions_.front().commit(); !published) return fail(std::move(published.error()));
  made.find_buffers();
  return made;
}

Result<StreamRegions> StreamRegions::open(Client& client, std::shared_ptr<detail::ClientCore> core,
                                          std::string_view name, StreamRole role) {
  StreamRegions opened(std::move(core), role);
  if (auto region = opened.open_region(client, format::ring_name(name), Access::write); !region)
    return fail(std::move(region.error()));
  auto& ring_region = opened.regions_.front();
  if (ring_region.sequence() == 0) {
    auto made = ring_region.wait(0, patience);
    if (!made && made.error().code != Errc::timed_out) return fail(std::move(made.error()));
    if (!made)
      return fail(Errc::busy, "the stream " + std::string(name) + " is being made, and not ready yet; try again");
  }
  auto ring = StreamRing::over(opened.payload(0));
  if (!ring) return fail(std::move(ring.error()));
  opened.ring_ = *ring;
  const auto& shape = ring->shape();
  opened.regions_.reserve(std::size_t{shape.buffers} + 1);
  for (std::uint32_t i = 0; i < shape.buffers; ++i) {
    const auto access = role == StreamRole::writer ? Access::write : Access::read;
    if (auto region = opened.open_region(client, format::buffer_name(name, i), access); !region)
      return fail(std::move(region.error()));
    if (opened.payload(i + 1).size() < shape.chunk_size)
      return fail(Errc::corrupt, "the buffers of the stream " + std::string(name) + " are smaller than its chunks");
  }
  opened.find_buffers();
  auto& memory = RegionAccess::memory(opened.own());
  if (!join_ring(side_of(*ring, role), memory.own_cell(), memory.cell_index()))
    return fail(Errc::busy, "the stream " + std::string(name) + " has its " +
                                (role == StreamRole::writer ? "writer" : "reader") + " already");
  return opened;
}

StreamRegions::~StreamRegions() {
  for (auto name = made_.rbegin(); name != made_.rend(); ++name) core_->remove_name(*name);
}

Result<void> StreamRegions::create_region(Client& client, std::string name, std::uint64_t capacity) {
  auto region = client.create(name, {.capacity = capacity, .slots = 1});
  if (!region) return fail(std::move(region.error()));
  regions_.push_back(std::move(*region));
  made_.push_back(std::move(name));
  return {};
}

Result<void> StreamRegions::open_region(Client& client, const std::string& name, Access access) {
  auto region = client.open(name, access);
  if (!region) return fail(std::move(region.error()));
  if (region->info().slots != 1 || region->info().layout != Layout::memio64)
    return fail(Errc::corrupt, "the region " + name + " is not one of a stream");
  regions_.push_back(std::move(*region));
  return {};
}

void StreamRegions::find_buffers() {
  for (std::size_t i = 1; i < regions_.size(); ++i) buffers_.push_back(payload(i).first(ring_->shape().chunk_size));
}

StreamPeer StreamRegions::peer() noexcept {
  // Each sleeps on the doorbell of the region in which the other has its cell: memiod rings it when that ends.
  const auto& memory = RegionAccess::memory(others());
  return {{memory.lease_table().cells, memory.cell_count()}, RegionAccess::memory(own()).doorbell_fd()};
}

detail::OpenRegion& StreamRegions::woken_by() noexcept { return RegionAccess::open(others()); }

}  // namespace memio

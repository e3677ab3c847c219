// SPDX-License-Identifier: MIT
#pragma once

// The regions of a stream, opened by one side of it.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client_core.h"
#include "stream_ring.h"

namespace memio {

enum class StreamRole : std::uint8_t { writer, reader };

class StreamRegions {
 public:
  // Makes them; the ring is published with this side in it. Errors: memiod's.
  static Result<StreamRegions> create(Client& client, std::shared_ptr<detail::ClientCore> core, std::string_view name,
                                      const StreamShape& shape, StreamRole role);
  // Opens those that somebody else makes or has made, and joins. Errors: memiod's; busy if it is not made yet, or if
  // somebody else has this role; corrupt.
  static Result<StreamRegions> open(Client& client, std::shared_ptr<detail::ClientCore> core, std::string_view name,
                                    StreamRole role);
  StreamRegions(StreamRegions&&) noexcept = default;
  StreamRegions& operator=(StreamRegions&&) = delete;
  // Takes the names away that it has made.
  ~StreamRegions();

  // For a RingEnd of this role.
  [[nodiscard]] StreamRing ring() const noexcept { return *ring_; }
  [[nodiscard]] StreamPeer peer() noexcept;
  // Whose doorbell wakes this side.
  [[nodiscard]] detail::OpenRegion& woken_by() noexcept;

  // `index` must be smaller than the number of buffers. Cut to chunk_size.
  [[nodiscard]] std::span<std::byte> buffer(std::uint32_t index) const noexcept { return buffers_[index]; }

 private:
  StreamRegions(std::shared_ptr<detail::ClientCore> core, StreamRole role) noexcept
      : core_(std::move(core)), role_(role) {}
  Result<void> create_region(Client& client, std::string name, std::uint64_t capacity);
  Result<void> open_region(Client& client, const std::string& name, Access access);
  // The region in which this side has the cell that the ring names, and the one in which the other has its.
  [[nodiscard]] Region& own() noexcept { return regions_[role_ == StreamRole::writer ? 0 : 1]; }
  [[nodiscard]] Region& others() noexcept { return regions_[role_ == StreamRole::writer ? 1 : 0]; }
  [[nodiscard]] std::span<std::byte> payload(std::size_t index) noexcept {
    return RegionAccess::memory(regions_[index]).payload(0);
  }
  void find_buffers();

  std::shared_ptr<detail::ClientCore> core_;
  StreamRole role_;
  std::vector<std::string> made_;
  std::vector<Region> regions_;  // the ring, then the buffers
  std::optional<StreamRing> ring_;
  std::vector<std::span<std::byte>> buffers_;
};

}  // namespace memio

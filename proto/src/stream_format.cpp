// SPDX-License-Identifier: MIT
#include "memio/stream_format.h"

#include <cstring>

namespace memio {

Result<StreamShape> StreamShape::make(std::uint64_t buffers, std::uint64_t chunk_size,
                                      std::optional<std::uint64_t> total_length) {
  if (buffers > format::max_buffers || !std::has_single_bit(buffers))
    return fail(Errc::invalid_slots, "a stream has 1, 2, 4, 8, 16, 32 or 64 buffers, not " + std::to_string(buffers));
  if (chunk_size < 1 || chunk_size > format::max_chunk_size)
    return fail(Errc::invalid_capacity, "a stream's chunks have room for 1 to " +
                                            std::to_string(format::max_chunk_size) + " bytes, not for " +
                                            std::to_string(chunk_size));
  return StreamShape{static_cast<std::uint32_t>(buffers), chunk_size, total_length};
}

namespace format {

std::string ring_name(std::string_view stream) { return std::string(stream) + "__ctrl"; }

std::string buffer_name(std::string_view stream, std::uint32_t index) {
  return std::string(stream) + "__data_" + std::to_string(index);
}

void initialise_ring(std::span<std::byte> ring, const StreamShape& shape) noexcept {
  auto& header = *reinterpret_cast<RingHeader*>(ring.data());
  header.capacity = shape.buffers;
  header.entry_size = sizeof(RingEntry);
  auto& description = *reinterpret_cast<StreamDescription*>(ring.data() + description_offset(shape.buffers));
  description.magic = stream_magic;
  description.version = stream_version;
  description.buffers = shape.buffers;
  description.chunk_size = shape.chunk_size;
  description.total_length = shape.total_length.value_or(unknown_length);
}

Result<StreamShape> check_ring(std::span<const std::byte> ring) {
  const auto wrong = [](const char* field) {
    return fail(Errc::corrupt, std::string("the stream's ring has an impossible ") + field);
  };
  if (ring.size() < ring_size(1)) return wrong("size");
  // One copy each: the other side may change them between the check and the use.
  std::uint32_t capacity = 0;
  std::uint32_t entry_size = 0;
  std::memcpy(&capacity, ring.data() + offsetof(RingHeader, capacity), sizeof capacity);
  std::memcpy(&entry_size, ring.data() + offsetof(RingHeader, entry_size), sizeof entry_size);
  if (capacity > max_buffers || !std::has_single_bit(capacity)) return wrong("capacity");
  if (entry_size != sizeof(RingEntry)) return wrong("entry size");
  if (ring.size() != ring_size(capacity)) return wrong("size");
  StreamDescription description;
  std::memcpy(&description, ring.data() + description_offset(capacity), sizeof description);
  if (description.magic != stream_magic) return wrong("magic");
  if (description.version != stream_version) return wrong("format version");
  if (description.buffers != capacity) return wrong("number of buffers");
  if (description.chunk_size < 1 || description.chunk_size > max_chunk_size) return wrong("chunk size");
  StreamShape shape{capacity, description.chunk_size, std::nullopt};
  if (description.total_length != unknown_length) shape.total_length = description.total_length;
  return shape;
}

}  // namespace format
}  // namespace memio

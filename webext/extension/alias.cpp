// SPDX-License-Identifier: MIT
#include "alias.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>

#include "memio/region_format.h"

namespace memio::webext {

namespace {

// Pages like those that JavaScriptCore has reserved around them, so that the kernel joins them to one mapping again.
bool put_back(std::byte* start, std::size_t size) noexcept {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  return ::mmap(start, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

}  // namespace

Result<Alias> Alias::make(JSCValue* buffer, std::span<const Part> parts) {
  if (!buffer || !jsc_value_is_array_buffer(buffer))
    return fail(Errc::invalid_parameter, "memory can only be laid under an ArrayBuffer");
  std::size_t size = 0;
  for (const Part& part : parts) size += part.size;
  gsize length = 0;
  auto* data = static_cast<std::byte*>(jsc_value_array_buffer_get_data(buffer, &length));
  const std::size_t page = page_size();
  const std::size_t offset = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page;
  if (!data || length < offset || length - offset < size)
    return fail(Errc::invalid_parameter, "an ArrayBuffer of " + std::to_string(length) + " bytes is too short for " +
                                             std::to_string(size) + " on page boundaries");

  // From here on its destructor undoes what has been mapped.
  Alias alias(share(buffer), data + offset, 0, offset);
  for (const Part& part : parts) {
    const int flags = part.access == protocol::Access::write ? MAP_SHARED : MAP_PRIVATE;
    void* mapped = ::mmap(alias.start_ + alias.size_, part.size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, part.fd,
                          static_cast<off_t>(part.offset));
    if (mapped == MAP_FAILED) {
      const int error = errno;
      // A failed MAP_FIXED may have unmapped what was there.
      alias.size_ += part.size;
      return fail_errno(error, "laying " + std::to_string(part.size) + " bytes under an ArrayBuffer");
    }
    alias.size_ += part.size;
  }
  return alias;
}

Alias::Alias(Alias&& other) noexcept
    : buffer_(std::move(other.buffer_)), start_(other.start_), size_(other.size_), offset_(other.offset_) {}

Alias::~Alias() {
  if (!buffer_ || size_ == 0) return;
  // If the pages cannot be put back, nobody may ever reuse them: the buffer is kept for good.
  if (!put_back(start_, size_)) static_cast<void>(buffer_.release());
}

}  // namespace memio::webext

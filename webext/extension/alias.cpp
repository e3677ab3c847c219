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

  // From here on its destructor undoes what has been mapped: all of it, because a failed MAP_FIXED may have unmapped
  // what was there.
  Alias alias(std::shared_ptr<JSCValue>(share(buffer)), data + offset, size, offset);
  if (auto mapped = alias.map(parts); !mapped) return fail(std::move(mapped.error()));
  return alias;
}

Result<void> Alias::map(std::span<const Part> parts) {
  std::byte* next = start_;
  for (const Part& part : parts) {
    const int flags = part.access == protocol::Access::write ? MAP_SHARED : MAP_PRIVATE;
    if (::mmap(next, part.size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, part.fd, static_cast<off_t>(part.offset)) ==
        MAP_FAILED)
      return fail_errno(errno, "laying " + std::to_string(part.size) + " bytes under an ArrayBuffer");
    next += part.size;
  }
  return {};
}

// JavaScriptCore takes these bytes as a buffer's because they are inside its Gigacage already.
Result<ObjectPtr<JSCValue>> Alias::window(JSCContext* context, std::size_t offset, std::size_t length,
                                          std::function<void()> gone) const {
  if (offset > size_ || length > size_ - offset)
    return fail(Errc::invalid_parameter, "there are no " + std::to_string(length) + " bytes from " +
                                             std::to_string(offset) + " on in " + std::to_string(size_));
  struct Held {
    std::shared_ptr<JSCValue> buffer;
    std::function<void()> gone;
  };
  // Called by the garbage collector, or in a worker's thread: what has to do with JavaScript is left to the main loop.
  const auto let_go = +[](gpointer held) {
    g_idle_add_full(
        G_PRIORITY_DEFAULT,
        [](gpointer data) -> gboolean {
          static_cast<Held*>(data)->gone();
          return G_SOURCE_REMOVE;
        },
        held, [](gpointer data) { delete static_cast<Held*>(data); });
  };
  ObjectPtr<JSCValue> window(
      jsc_value_new_array_buffer(context, start_ + offset, length, let_go, new Held{buffer_, std::move(gone)}));
  if (!window) return fail(Errc::out_of_resources, "JavaScript has no memory for another ArrayBuffer");
  return window;
}

Alias::Alias(Alias&& other) noexcept
    : buffer_(std::move(other.buffer_)), start_(other.start_), size_(other.size_), offset_(other.offset_) {}

Alias::~Alias() {
  if (!buffer_ || size_ == 0) return;
  // If the pages cannot be put back, nobody may ever reuse them: the buffer is kept for good.
  if (!put_back(start_, size_)) new std::shared_ptr<JSCValue>(std::move(buffer_));
}

}  // namespace memio::webext

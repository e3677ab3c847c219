// SPDX-License-Identifier: MIT
#include "alias.h"

#include <sys/mman.h>

#include <cerrno>
#include <map>
#include <string>

#include "memio/region_format.h"

namespace memio::webext {

namespace {

constexpr int guarded_rights = PROT_READ;
constexpr int open_rights = PROT_READ | PROT_WRITE;

bool is_private(const Alias::Part& part) { return part.access == protocol::Access::read; }

// Pages like those that JavaScriptCore has reserved around them, so that the kernel joins them to one mapping again.
bool put_back(std::byte* start, std::size_t size) noexcept {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  return ::mmap(start, size, open_rights, flags, -1, 0) != MAP_FAILED;
}

// Where there are files now, in all documents of this process, by their ends. One that is laid over another would be
// uncovered by the end of that, and a buffer can be shared by documents.
std::map<const std::byte*, const std::byte*>& taken() {
  static std::map<const std::byte*, const std::byte*> ranges;
  return ranges;
}

bool is_taken(const std::byte* start, std::size_t size) {
  const auto next = taken().upper_bound(start);
  return next != taken().end() && next->second < start + size;
}

std::byte* data_of(JSCValue* buffer, gsize& size) {
  if (!buffer) return nullptr;
  if (jsc_value_is_array_buffer(buffer)) return static_cast<std::byte*>(jsc_value_array_buffer_get_data(buffer, &size));
  if (jsc_value_is_typed_array(buffer) && jsc_value_typed_array_get_type(buffer) == JSC_TYPED_ARRAY_UINT8)
    return static_cast<std::byte*>(jsc_value_typed_array_get_data(buffer, &size));
  return nullptr;
}

}  // namespace

Result<Alias> Alias::make(const Place& place, std::span<const Part> parts, StoreNote* note) {
  gsize length = 0;
  std::byte* data = data_of(place.buffer, length);
  if (!data) return fail(Errc::invalid_parameter, "memory can only be laid under an ArrayBuffer");
  std::size_t size = 0;
  for (const Part& part : parts) size += part.size;
  const std::size_t page = page_size();
  const std::size_t offset = place.from + (page - (reinterpret_cast<std::uintptr_t>(data) + place.from) % page) % page;
  if (length < offset || length - offset < size)
    return fail(Errc::invalid_parameter, "a buffer of " + std::to_string(length) + " bytes is too short for " +
                                             std::to_string(size) + " on page boundaries from " +
                                             std::to_string(place.from) + " on");
  if (is_taken(data + offset, size))
    return fail(Errc::invalid_parameter, "a region is mapped there already; unmap it first, or choose another place");

  // From here on its destructor undoes what has been mapped.
  Alias alias(place, data, length, offset);
  for (const Part& part : parts) {
    auto mapped = alias.map(part, alias.buffer_start_ + offset + alias.size_, note != nullptr && is_private(part));
    alias.size_ += part.size;  // a failed MAP_FIXED may have unmapped what was there
    if (!mapped) return fail(std::move(mapped.error()));
    alias.parts_.push_back(part);
  }
  if (note)
    if (auto guarded = alias.guard(*note); !guarded) return fail(std::move(guarded.error()));
  taken()[data + offset + size] = data + offset;
  alias.registered_ = true;
  return alias;
}

// JavaScriptCore takes these bytes as a buffer's because they are inside its Gigacage already.
Result<ObjectPtr<JSCValue>> Alias::window(JSCContext* context, std::size_t offset, std::size_t length,
                                          std::function<void()> gone) const {
  if (offset > size_ || length > size_ - offset)
    return fail(Errc::invalid_parameter, "there are no " + std::to_string(length) + " bytes from " +
                                             std::to_string(offset) + " on in " + std::to_string(size_));
  struct Held {
    std::shared_ptr<const Memory> memory;
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
  ObjectPtr<JSCValue> window(jsc_value_new_array_buffer(context, buffer_start_ + offset_ + offset, length, let_go,
                                                        new Held{memory_, std::move(gone)}));
  if (!window) return fail(Errc::out_of_resources, "JavaScript has no memory for another ArrayBuffer");
  return window;
}

std::byte* Alias::memory_of(JSCValue* buffer, std::size_t size) {
  gsize length = 0;
  std::byte* data = data_of(buffer, length);
  return length >= size ? data : nullptr;
}

Alias::Alias(const Place& place, std::byte* buffer_start, std::size_t buffer_size, std::size_t offset)
    : memory_(new Memory{share(place.buffer), place.owner ? share(place.owner) : nullptr}),
      buffer_start_(buffer_start),
      buffer_size_(buffer_size),
      offset_(offset) {}

Alias::Alias(Alias&& other) noexcept = default;

Alias::~Alias() {
  if (!memory_ || size_ == 0) return;
  if (registered_) taken().erase(buffer_start_ + offset_ + size_);
  // If the pages cannot be put back, nobody may ever reuse them: the buffer is kept for good.
  if (!put_back(buffer_start_ + offset_, size_)) new std::shared_ptr<const Memory>(std::move(memory_));
}

Result<void> Alias::map(const Part& part, std::byte* start, bool guarded) {
  // Without a reserve, because hardly any of it will ever be stored to.
  const int flags = is_private(part) ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  void* mapped = ::mmap(start, part.size, guarded ? guarded_rights : open_rights, flags | MAP_FIXED, part.fd,
                        static_cast<off_t>(part.offset));
  if (mapped == MAP_FAILED)
    return fail_errno(errno, "laying " + std::to_string(part.size) + " bytes under a page's buffer");
  return {};
}

// The private parts of one alias lie together.
Result<void> Alias::guard(StoreNote& note) {
  std::size_t before = 0, size = 0;
  for (const Part& part : parts_) {
    if (is_private(part))
      size += part.size;
    else if (size == 0)
      before += part.size;
  }
  if (size == 0) return {};
  auto guard = StoreGuard::make(buffer_start_ + offset_ + before, size, note);
  if (!guard) return fail(std::move(guard.error()));
  guard_ = std::move(*guard);
  return {};
}

Result<void> Alias::mend() {
  std::byte* start = buffer_start_ + offset_;
  for (const Part& part : parts_) {
    if (is_private(part))
      if (auto mapped = map(part, start, true); !mapped) return mapped;
    start += part.size;
  }
  return {};
}

std::byte* Alias::own_memory(std::size_t offset, std::size_t size) const noexcept {
  const bool inside = offset <= buffer_size_ && buffer_size_ - offset >= size;
  const bool apart = offset + size <= offset_ || offset >= offset_ + size_;
  return inside && apart ? buffer_start_ + offset : nullptr;
}

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "../common/glib_ptr.h"
#include "memio/protocol.h"
#include "memio/result.h"
#include "webkit_extension.h"

namespace memio::webext {

// Shared memory laid under a JavaScript ArrayBuffer.
//
// JavaScriptCore does not take foreign memory as a buffer's (its Gigacage forbids it), so it is the other way round:
// JavaScript allocates the buffer, and files are mapped over its pages, MAP_FIXED. Asking for the address pins the
// buffer: it can be neither transferred, detached nor resized from then on.
//
// The object holds the buffer, so that its pages are not reused, and puts anonymous pages of zeros in the place of
// the files before it lets go. It must not outlive the JSC virtual machine.
class Alias {
 public:
  // A file to be mapped, from its start.
  struct Part {
    int fd = -1;
    std::size_t size = 0;      // a multiple of the page size; the file is at least that long
    std::uint64_t offset = 0;  // in the file, a multiple of the page size
    // write: shared with everybody. read: private, so that a store by the page neither crashes it nor reaches anyone;
    // the page of memory that was stored to then stops following the file.
    protocol::Access access = protocol::Access::read;
  };

  // Maps `parts` one after the other from the first page boundary in `buffer` on. `buffer` may be any value.
  // Errors: invalid_parameter if it is no ArrayBuffer or too short; system.
  static Result<Alias> make(JSCValue* buffer, std::span<const Part> parts);

  Alias(Alias&& other) noexcept;
  Alias& operator=(Alias&&) = delete;
  ~Alias();

  // Another ArrayBuffer, over exactly these bytes of the memory. Pages can do with it what they like, detach it and
  // send it to a worker included; so it shares the ownership of the pages, which are not reused before it is gone as
  // well. When this object ends it shows zeros. `gone` is called in the main thread once its memory has been let go,
  // wherever that happened. Error: invalid_parameter if the memory has no such bytes.
  [[nodiscard]] Result<ObjectPtr<JSCValue>> window(JSCContext* context, std::size_t offset, std::size_t length,
                                                   std::function<void()> gone) const;
  // Maps `parts` again: what was stored into read-only memory is gone. Error: system.
  Result<void> map(std::span<const Part> parts);

  // Where in the buffer the first part lies.
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }

 private:
  Alias(std::shared_ptr<JSCValue> buffer, std::byte* start, std::size_t size, std::size_t offset) noexcept
      : buffer_(std::move(buffer)), start_(start), size_(size), offset_(offset) {}

  std::shared_ptr<JSCValue> buffer_;  // empty after a move; shared with windows
  std::byte* start_;
  std::size_t size_;
  std::size_t offset_;
};

}  // namespace memio::webext

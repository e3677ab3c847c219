// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "../common/glib_ptr.h"
#include "memio/protocol.h"
#include "memio/result.h"
#include "store_guard.h"
#include "webkit_extension.h"

namespace memio::webext {

// Shared memory laid under a JavaScript buffer.
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
    // write: shared with everybody. read: private, so that a store by the page neither crashes it nor reaches anyone.
    protocol::Access access = protocol::Access::read;
  };

  // Where to: the memory of `buffer`, from the first page boundary at or behind `from` on.
  struct Place {
    // An ArrayBuffer, or a Uint8Array that shows all of a SharedArrayBuffer or of a WebAssembly.Memory. Any value may
    // be given.
    JSCValue* buffer = nullptr;
    std::size_t from = 0;
    // Held as well, if there is one. A WebAssembly.Memory has to be: grow(0) gives it a new buffer over the same
    // memory.
    JSCValue* owner = nullptr;
  };

  // Maps `parts` one after the other. With a note, those that are read-only are guarded (store_guard.h); without,
  // stores to them stay until the alias ends. Errors: invalid_parameter if `buffer` is none, too short, or has a file
  // there already; system; out_of_resources.
  static Result<Alias> make(const Place& place, std::span<const Part> parts, StoreNote* note = nullptr);

  // The memory of such a buffer, at least `size` bytes of it, before anything is laid under it. Pins it. Null if it is
  // none or shorter.
  static std::byte* memory_of(JSCValue* buffer, std::size_t size);

  Alias(Alias&& other) noexcept;
  Alias& operator=(Alias&&) = delete;
  ~Alias();

  // Another ArrayBuffer, over exactly these bytes of the memory. Pages can do with it what they like, detach it and
  // send it to a worker included; so it shares the ownership of the pages, which are not reused before it is gone as
  // well. Stores through it are like any others: guarded, and undone by mend(). When this object ends it shows zeros.
  // `gone` is called in the main thread once its memory has been let go, wherever that happened. Error:
  // invalid_parameter if the memory has no such bytes.
  [[nodiscard]] Result<ObjectPtr<JSCValue>> window(JSCContext* context, std::size_t offset, std::size_t length,
                                                   std::function<void()> gone) const;

  // Where in the buffer the first part lies.
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }
  // How many bytes all parts take up.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Memory of the buffer's own, `size` bytes from `offset` on, outside of what is mapped. Null if there is none.
  [[nodiscard]] std::byte* own_memory(std::size_t offset, std::size_t size) const noexcept;

  // Undoes all stores to read-only memory that is guarded. Error: system.
  Result<void> mend();

 private:
  // What a buffer's pages belong to. Windows share it.
  struct Memory {
    ObjectPtr<JSCValue> buffer;
    ObjectPtr<JSCValue> owner;
  };

  Alias(const Place& place, std::byte* buffer_start, std::size_t buffer_size, std::size_t offset);
  Result<void> map(const Part& part, std::byte* start, bool guarded);
  Result<void> guard(StoreNote& note);

  std::shared_ptr<const Memory> memory_;  // empty after a move
  std::byte* buffer_start_;
  std::size_t buffer_size_;
  std::size_t offset_;
  std::size_t size_ = 0;  // of what is mapped
  std::vector<Part> parts_;
  bool registered_ = false;
  StoreGuard guard_;
};

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#pragma once

// Stores into read-only memory that harm nobody and cost nothing while nobody stores.
//
// A region that a page may only read is mapped privately and PROT_READ. The first store to it faults. A handler of
// SIGSEGV then makes the memory writable, which gives the storing page a copy of its own of what it stores to, and
// notes the fault in a word that JavaScript looks at before it reads. If the word is set, Alias::mend() maps the
// file again. So who does not store pays for one plain load, and who does for a fault and two mappings for each read.
//
// Faults elsewhere go to the handler that was there before, which is JavaScriptCore's: WebAssembly needs it.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memio/result.h"

namespace memio::webext {

// In memory that JavaScript reads: not 0 if something was stored into the memory that it stands for.
using StoreNote = std::atomic<std::uint32_t>;

namespace detail {
struct GuardedRange;
}

// One range of guarded memory. Made and destroyed by the main thread; any thread may store.
class StoreGuard {
 public:
  StoreGuard() noexcept = default;
  // From now on stores to [start, start + size), which is mapped privately, are noted. `note` must outlive the guard.
  // Errors: system, out_of_resources.
  static Result<StoreGuard> make(std::byte* start, std::size_t size, StoreNote& note);

  StoreGuard(StoreGuard&& other) noexcept;
  StoreGuard& operator=(StoreGuard&& other) noexcept;
  // Not before the memory has been mapped otherwise: a thread that is just storing must find the range.
  ~StoreGuard();

 private:
  explicit StoreGuard(detail::GuardedRange* range) noexcept : range_(range) {}
  detail::GuardedRange* range_ = nullptr;
};

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#include "store_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <utility>

namespace memio::webext {

namespace detail {

// In a list that only grows, because the handler may be going through it: those that have ended are used again.
struct GuardedRange {
  std::atomic<std::uintptr_t> start{0};  // 0: not in use. Stored last, so who sees it sees the rest
  std::atomic<std::size_t> size{0};
  std::atomic<StoreNote*> note{nullptr};
  GuardedRange* next = nullptr;
};

}  // namespace detail

namespace {

using detail::GuardedRange;

static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<GuardedRange*>::is_always_lock_free);

// A signal handler can be handed nothing, so these are globals.
std::atomic<GuardedRange*> ranges{nullptr};
struct sigaction previous {};

// What is called here must be safe in a handler: atomics and mprotect(), which is a bare system call.
bool let_store(std::uintptr_t address) noexcept {
  for (GuardedRange* range = ranges.load(); range; range = range->next) {
    const std::uintptr_t start = range->start.load();
    const std::size_t size = range->size.load();
    StoreNote* note = range->note.load();
    if (start == 0 || address < start || address - start >= size || range->start.load() != start) continue;
    // All of it at once: a page of its own for each store would cut the mapping into more pieces than there may be.
    if (::mprotect(reinterpret_cast<void*>(start), size, PROT_READ | PROT_WRITE) != 0) return false;
    note->store(1);
    return true;
  }
  return false;
}

void pass_on(int signal_number, siginfo_t* info, void* context) noexcept {
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction) {
    previous.sa_sigaction(signal_number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal_number);
  } else {
    // Returning faults again, and that ends the process as it would have ended without us.
    ::signal(signal_number, SIG_DFL);
  }
}

void on_fault(int signal_number, siginfo_t* info, void* context) noexcept {
  const int saved = errno;
  // Only what is mapped and forbidden: not what is not mapped at all.
  const bool ours = info->si_code == SEGV_ACCERR && let_store(reinterpret_cast<std::uintptr_t>(info->si_addr));
  if (!ours) pass_on(signal_number, info, context);
  errno = saved;
}

Result<void> install_handler() {
  static bool installed = false;
  if (installed) return {};
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGSEGV, &action, &previous) != 0) return fail_errno(errno, "handling stores to read-only memory");
  installed = true;
  return {};
}

GuardedRange* unused_range() {
  for (GuardedRange* range = ranges.load(); range; range = range->next)
    if (range->start.load() == 0) return range;
  auto* range = new (std::nothrow) GuardedRange;
  if (!range) return nullptr;
  range->next = ranges.load();
  ranges.store(range);
  return range;
}

}  // namespace

Result<StoreGuard> StoreGuard::make(std::byte* start, std::size_t size, StoreNote& note) {
  if (auto installed = install_handler(); !installed) return fail(std::move(installed.error()));
  GuardedRange* range = unused_range();
  if (!range) return fail(Errc::out_of_resources, "no memory to guard a read-only region");
  range->size.store(size);
  range->note.store(&note);
  range->start.store(reinterpret_cast<std::uintptr_t>(start));
  return StoreGuard(range);
}

StoreGuard::StoreGuard(StoreGuard&& other) noexcept : range_(std::exchange(other.range_, nullptr)) {}

StoreGuard& StoreGuard::operator=(StoreGuard&& other) noexcept {
  std::swap(range_, other.range_);
  return *this;
}

StoreGuard::~StoreGuard() {
  if (range_) range_->start.store(0);
}

}  // namespace memio::webext

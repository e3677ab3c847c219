// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

#include "deadline.h"

namespace memio::futex {

// Sleeps until somebody wakes `word`, if it still holds `expected`. False if the deadline passed. May return early.
// The word may be shared between processes.
bool wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline) noexcept;

void wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

}  // namespace memio::futex

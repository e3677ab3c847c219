// SPDX-License-Identifier: MIT
#pragma once

// A benchmark whose ground gives way has no figure to report and nobody to report an error to: it says why and ends.

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "memio/result.h"

namespace memio::bench {

[[noreturn]] inline void die(std::string_view what) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) die(result.error().text());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// For system calls: -1 is an error.
template <class T>
T must(T result, std::string_view what) {
  if (result == T{-1}) die(std::string(what) + ": " + std::strerror(errno));
  return result;
}

}  // namespace memio::bench

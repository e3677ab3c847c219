// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <cstdio>
#include <type_traits>
#include <utility>

#include "memio/result.h"

namespace memio::test {

// Ends a child with an error that shows.
inline void require(bool condition, const char* what, const Error& error = {}) {
  if (condition) return;
  std::fprintf(stderr, "child: not so: %s: %s\n", what, error.text().c_str());
  ::_exit(1);
}
template <class T>
T require(Result<T> result, const char* what) {
  if (!result) require(false, what, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace memio::test

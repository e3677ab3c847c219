// SPDX-License-Identifier: MIT
#pragma once

// What the files behind memio.h share: the objects of several of them, and how results and exceptions become numbers.

#include <deque>
#include <new>

#include "memio.h"
#include "memio/client.h"

struct memio_client {
  memio::Client client;
  // Calls of memio_call_begin() that were answered and not told of yet.
  std::deque<uint64_t> answered{};
};
struct memio_region {
  memio::Region region;
};

namespace memio::c_api {

// Keeps the error for memio_error_message(), whose text is only made when somebody asks for it. Returns its number.
int report(const Error& error) noexcept;

// Runs `body` and turns exceptions, of which there are only those of memory running out, into an error.
template <class Body>
int guarded(Body body) noexcept {
  try {
    return body();
  } catch (const std::exception& error) {
    return report(Error{Errc::out_of_resources, 0, error.what()});
  }
}

template <class Object, class Value>
int give(Result<Value> result, Object** out) {
  if (!result) return report(result.error());
  *out = new Object{std::move(*result)};
  return MEMIO_OK;
}

inline int give_nothing(const Result<void>& result) { return result ? MEMIO_OK : report(result.error()); }

}  // namespace memio::c_api

// SPDX-License-Identifier: MIT
#include "memio/result.h"

#include <system_error>

namespace memio {

namespace {

// What a person reads when the error was made without a sentence of its own.
std::string_view default_message(Errc code) {
  switch (code) {
    case Errc::payload_too_large: return "the payload is larger than the region's capacity";
    case Errc::read_only: return "the region was opened for reading only; open it with write access";
    case Errc::busy: return "no slot is free to write into, or another writer is at work; try again";
    case Errc::corrupt: return "the shared memory of the region holds values that cannot be true";
    case Errc::evicted: return "the broker gave the writer lock to another writer; nothing was published";
    case Errc::misuse: return "the call does not fit the region's state";
    case Errc::disconnected: return "the connection to memiod is closed";
    case Errc::out_of_resources: return "the system had no more memory or file descriptors to give";
    case Errc::timed_out: return "the time allowed ran out";
    case Errc::aborted: return "the other side gave the stream up";
    case Errc::peer_gone: return "the other side of the stream is gone";
    default: return "the request failed";
  }
}

}  // namespace

std::string Error::text() const {
  std::string text = message.empty() ? std::string(default_message(code)) : message;
  if (system_errno != 0) text += ": " + std::generic_category().message(system_errno);
  if (code != Errc::system) text.append(" (").append(name()).append(")");
  return text;
}

Errc error_from_name(std::string_view name) noexcept {
  for (unsigned i = 0; i <= static_cast<unsigned>(Errc::system); ++i) {
    const auto code = static_cast<Errc>(i);
    if (error_name(code) == name) return code;
  }
  return Errc::protocol_violation;
}

}  // namespace memio

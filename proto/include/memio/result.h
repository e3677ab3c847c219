// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "memio/api.h"

namespace memio {

// What went wrong, in the protocol's own words.
//
// The first group are the errors of the interface io.memio (proto/io.memio.varlink) in its order; a test
// compares the two. The second group are the standard errors of Varlink. The last is found by the library itself, so it
// never crosses the socket.
enum class Errc : std::uint8_t {
  no_such_region,
  region_exists,
  invalid_name,
  invalid_pattern,
  invalid_capacity,
  invalid_slots,
  invalid_shrink_after,
  permission_denied,
  not_the_region,
  no_such_handle,
  limit_exceeded,
  out_of_resources,
  malformed_message,
  message_too_large,
  unexpected_file_descriptors,
  no_such_command,
  command_exists,
  command_failed,
  handler_gone,
  call_cancelled,
  call_timed_out,

  method_not_found,
  method_not_implemented,
  interface_not_found,
  invalid_parameter,
  expected_more,

  payload_too_large,
  read_only,
  busy,
  corrupt,
  evicted,
  misuse,
  disconnected,
  timed_out,
  aborted,
  peer_gone,
  protocol_violation,
  system,
};

// The full name, such as "io.memio.NoSuchRegion". Static storage.
[[nodiscard]] constexpr std::string_view error_name(Errc code) noexcept {
  switch (code) {
    case Errc::no_such_region: return "io.memio.NoSuchRegion";
    case Errc::region_exists: return "io.memio.RegionExists";
    case Errc::invalid_name: return "io.memio.InvalidName";
    case Errc::invalid_pattern: return "io.memio.InvalidPattern";
    case Errc::invalid_capacity: return "io.memio.InvalidCapacity";
    case Errc::invalid_slots: return "io.memio.InvalidSlots";
    case Errc::invalid_shrink_after: return "io.memio.InvalidShrinkAfter";
    case Errc::permission_denied: return "io.memio.PermissionDenied";
    case Errc::not_the_region: return "io.memio.NotTheRegion";
    case Errc::no_such_handle: return "io.memio.NoSuchHandle";
    case Errc::limit_exceeded: return "io.memio.LimitExceeded";
    case Errc::out_of_resources: return "io.memio.OutOfResources";
    case Errc::malformed_message: return "io.memio.MalformedMessage";
    case Errc::message_too_large: return "io.memio.MessageTooLarge";
    case Errc::unexpected_file_descriptors: return "io.memio.UnexpectedFileDescriptors";
    case Errc::no_such_command: return "io.memio.NoSuchCommand";
    case Errc::command_exists: return "io.memio.CommandExists";
    case Errc::command_failed: return "io.memio.CommandFailed";
    case Errc::handler_gone: return "io.memio.HandlerGone";
    case Errc::call_cancelled: return "io.memio.CallCancelled";
    case Errc::call_timed_out: return "io.memio.CallTimedOut";
    case Errc::expected_more: return "org.varlink.service.ExpectedMore";
    case Errc::method_not_found: return "org.varlink.service.MethodNotFound";
    case Errc::method_not_implemented: return "org.varlink.service.MethodNotImplemented";
    case Errc::interface_not_found: return "org.varlink.service.InterfaceNotFound";
    case Errc::invalid_parameter: return "org.varlink.service.InvalidParameter";
    case Errc::payload_too_large: return "io.memio.client.PayloadTooLarge";
    case Errc::read_only: return "io.memio.client.ReadOnly";
    case Errc::busy: return "io.memio.client.Busy";
    case Errc::corrupt: return "io.memio.client.Corrupt";
    case Errc::evicted: return "io.memio.client.Evicted";
    case Errc::misuse: return "io.memio.client.Misuse";
    case Errc::disconnected: return "io.memio.client.Disconnected";
    case Errc::timed_out: return "io.memio.client.TimedOut";
    case Errc::aborted: return "io.memio.client.Aborted";
    case Errc::peer_gone: return "io.memio.client.PeerGone";
    case Errc::protocol_violation: return "io.memio.client.ProtocolViolation";
    case Errc::system: return "io.memio.client.System";
  }
  return "io.memio.client.System";
}

// What the handler of a command said when it rejected a call, besides its sentence.
struct Rejection {
  std::string error;    // its own name for what went wrong
  std::string details;  // JSON; empty if it said nothing else
};

// An error as a value: which one, and a sentence for people saying what was asked, what is wrong and what to do.
// Errors of the data plane (busy, corrupt, ...) carry no sentence of their own, so that making one allocates nothing;
// text() always has something to show.
struct Error {
  Errc code = Errc::system;
  int system_errno = 0;  // errno where the kernel gave one, else 0
  std::string message;
  std::shared_ptr<const Rejection> rejection{};  // with command_failed

  [[nodiscard]] std::string_view name() const noexcept { return error_name(code); }
  // "what was wrong (io.memio.Name)", with the kernel's word where there is one.
  [[nodiscard]] MEMIO_API std::string text() const;
};

// Reads a full error name back; Errc::protocol_violation if there is no such name.
[[nodiscard]] MEMIO_API Errc error_from_name(std::string_view name) noexcept;

// A value or an Error. Ignoring one is a warning.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string message = {}) {
  return tl::unexpected<Error>(Error{code, 0, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }
// For a failed system call: keeps `error_number` and says what was being done.
[[nodiscard]] inline tl::unexpected<Error> fail_errno(int error_number, std::string doing) {
  return tl::unexpected<Error>(Error{Errc::system, error_number, std::move(doing)});
}

}  // namespace memio

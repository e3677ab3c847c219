// SPDX-License-Identifier: MIT
// Random text against the codec and the readers of every method's parameters and replies. What is accepted survives
// being written and read again; what is refused is refused with a reason.

#include "fuzz.h"
#include "memio/json_scanner.h"
#include "memio/message.h"
#include "memio/protocol_json.h"
#include "memio/strict_json.h"

namespace {

using memio::Json;
using memio::fuzz::require;

template <memio::protocol::Struct T>
void try_as(const Json& parameters) {
  const auto value = memio::protocol::parse<T>(parameters);
  if (!value) return require(!value.error().text().empty());  // its message is a field's name, which can be ""
  const auto json = memio::protocol::to_json(*value);
  const auto again = memio::protocol::parse<T>(json);
  require(again && memio::protocol::to_json(*again) == json);
}

void try_as_any(const Json& parameters) {
  using namespace memio::protocol;  // NOLINT(google-build-using-namespace)
  try_as<CreateParameters>(parameters);
  try_as<CreateReply>(parameters);
  try_as<OpenParameters>(parameters);
  try_as<CloseParameters>(parameters);
  try_as<ListParameters>(parameters);
  try_as<ListReply>(parameters);
  try_as<StatReply>(parameters);
  try_as<WatchParameters>(parameters);
  try_as<WatchReply>(parameters);
  try_as<OpenConnectionParameters>(parameters);
  try_as<OpenConnectionReply>(parameters);
  try_as<ReceiveReply>(parameters);
  try_as<InvokeParameters>(parameters);
  try_as<AnswerParameters>(parameters);
  try_as<EmitParameters>(parameters);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // But for the mark at its beginning, which the parser skips, and a NUL, where it ends.
  if (!text.starts_with("\xef") && text.find('\0') == text.npos)
    require(memio::is_json(text) == memio::parse_strictly(text).has_value());
  const auto call = memio::decode_call(text);
  if (call) {
    const auto written = memio::encode(*call);
    const auto again = memio::decode_call(written);
    require(again && memio::encode(*again) == written);
    try_as_any(call->parameters);
  } else {
    require(call.error().code == memio::Errc::malformed_message && !call.error().message.empty());
    // The reply that a session would send.
    require(memio::decode_reply(memio::encode(memio::to_reply(call.error()))).has_value());
  }
  if (const auto reply = memio::decode_reply(text)) {
    const auto written = memio::encode(*reply);
    const auto again = memio::decode_reply(written);
    require(again && memio::encode(*again) == written);
    try_as_any(reply->parameters);
    require(!memio::to_error(*reply).text().empty());
  }
  return 0;
}

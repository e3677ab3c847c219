// SPDX-License-Identifier: MIT
#pragma once

// Varlink's messages (https://varlink.org): one JSON object each. This is the codec between their text and their parts;
// framing and file descriptors are Channel's.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "memio/json_text.h"
#include "memio/result.h"

namespace memio {

using Json = nlohmann::json;

// Objects and arrays inside one another; more is refused, so that no message makes a recursion deep.
inline constexpr unsigned max_nesting = 32;

struct Call {
  std::string method;  // interface and member, as in "io.memio.List"
  Json parameters = Json::object();
  bool more = false;    // the caller takes several replies
  bool oneway = false;  // the caller takes none
};

struct Reply {
  std::string error;  // empty if it went well
  Json parameters = Json::object();
  bool continues = false;  // more replies to the same call follow
};

// The same, to be sent, with parameters that are text already.
struct WrittenCall {
  std::string_view method;
  JsonText parameters;
  bool more = false;
  bool oneway = false;
};
struct WrittenReply {
  JsonText parameters;
  bool continues = false;
};

// What becomes of parameters of the type object: values like others, or only their text (raw_json.h), for those who
// pass them on. They are checked in both cases.
enum class Objects : std::uint8_t { parsed, passed_on };

// Text to parts; in a call, objects are only text. Error: malformed_message, saying what is wrong with it.
Result<Call> decode_call(std::string_view text);
Result<Reply> decode_reply(std::string_view text, Objects objects = Objects::parsed);

// Parts to text, without the NUL that ends a message.
std::string encode(const Call& call);
std::string encode(const Reply& reply);
std::string encode(WrittenCall call);
std::string encode(WrittenReply reply);

// An Error as the reply that carries it, and back. Each of the standard errors has the field that its interface says,
// all of ours have `message`.
Reply to_reply(const Error& error);
Error to_error(const Reply& reply);

}  // namespace memio

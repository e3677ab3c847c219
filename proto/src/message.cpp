// SPDX-License-Identifier: MIT
#include "memio/message.h"

#include <utility>

#include "memio/strict_json.h"

namespace memio {

namespace {

tl::unexpected<Error> malformed(std::string reason) { return fail(Errc::malformed_message, std::move(reason)); }

Result<Json> parse_object(std::string_view text) {
  auto json = parse_strictly(text);
  if (!json) {
    const auto& problem = json.error();
    const std::string where = problem.byte > 0 ? ": an error at byte " + std::to_string(problem.byte) : "";
    return malformed("the message " + problem.what + where);
  }
  if (!json->is_object()) return malformed("the message is not a JSON object");
  return std::move(*json);
}

// Moves the member `name` of a message out of it. Absent members keep `value` as it is.
template <class T>
Result<void> take(Json& json, const char* name, T& value) {
  const auto found = json.find(name);
  if (found == json.end()) return {};
  bool fits = false;
  if constexpr (std::is_same_v<T, bool>)
    fits = found->is_boolean();
  else if constexpr (std::is_same_v<T, std::string>)
    fits = found->is_string();
  else
    fits = found->is_object() || found->is_null();
  if (!fits) return malformed(std::string("the message's '") + name + "' is of the wrong type");
  if constexpr (std::is_same_v<T, Json>) {
    if (!found->is_null()) value = std::move(*found);
  } else {
    value = std::move(found->get_ref<T&>());
  }
  json.erase(found);
  return {};
}

Result<void> check_nothing_left(const Json& json) {
  if (json.empty()) return {};
  return malformed("the message has a member '" + json.begin().key() + "' that Varlink does not know");
}

// The field in which an error carries its sentence (ours) or its subject (Varlink's own).
const char* subject_field(Errc code) {
  switch (code) {
    case Errc::method_not_found:
    case Errc::method_not_implemented: return "method";
    case Errc::interface_not_found: return "interface";
    case Errc::invalid_parameter: return "parameter";
    case Errc::expected_more: return nullptr;
    default: return "message";
  }
}

}  // namespace

Result<Call> decode_call(std::string_view text) {
  auto json = parse_object(text);
  if (!json) return fail(std::move(json.error()));
  Call call;
  Result<void> result = take(*json, "method", call.method);
  if (result) result = take(*json, "parameters", call.parameters);
  if (result) result = take(*json, "more", call.more);
  if (result) result = take(*json, "oneway", call.oneway);
  if (result) result = check_nothing_left(*json);
  if (result && call.method.empty()) result = malformed("the message has no method");
  if (result && call.more && call.oneway) result = malformed("the message asks both for more replies and for none");
  if (!result) return fail(std::move(result.error()));
  return call;
}

Result<Reply> decode_reply(std::string_view text) {
  auto json = parse_object(text);
  if (!json) return fail(std::move(json.error()));
  Reply reply;
  Result<void> result = take(*json, "error", reply.error);
  if (result) result = take(*json, "parameters", reply.parameters);
  if (result) result = take(*json, "continues", reply.continues);
  if (result) result = check_nothing_left(*json);
  if (!result) return fail(std::move(result.error()));
  return reply;
}

namespace {

// Bytes that are no UTF-8 cannot stand in JSON; they can only come from our own errors quoting foreign ones.
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Puts a message around its parameters, which can be long.
std::string enclose(std::string begin, std::string parameters) {
  begin += R"("parameters":)";
  parameters.insert(0, begin);
  parameters += '}';
  return parameters;
}

}  // namespace

// Members are in the order of their names, as those of all our objects are.

std::string encode(WrittenCall call) {
  std::string begin = R"({"method":)";
  append_json_string(begin, call.method);
  begin += ',';
  if (call.more) begin += R"("more":true,)";
  if (call.oneway) begin += R"("oneway":true,)";
  return enclose(std::move(begin), std::move(call.parameters.text));
}

std::string encode(WrittenReply reply) {
  return enclose(reply.continues ? R"({"continues":true,)" : "{", std::move(reply.parameters.text));
}

std::string encode(const Call& call) {
  return encode(WrittenCall{call.method, {dump(call.parameters)}, call.more, call.oneway});
}

std::string encode(const Reply& reply) {
  std::string begin = reply.continues ? R"({"continues":true,)" : "{";
  if (!reply.error.empty()) {
    begin += R"("error":)";
    append_json_string(begin, reply.error);
    begin += ',';
  }
  return enclose(std::move(begin), dump(reply.parameters));
}

Reply to_reply(const Error& error) {
  Reply reply{std::string(error.name())};
  if (const char* field = subject_field(error.code)) {
    const bool sentence = std::string_view(field) == "message";
    reply.parameters[field] = sentence ? Error{Errc::system, error.system_errno, error.message}.text() : error.message;
  }
  return reply;
}

Error to_error(const Reply& reply) {
  Error error{error_from_name(reply.error)};
  if (error.code == Errc::protocol_violation) {
    error.message = "memiod answered with an error that this version does not know: " + reply.error;
    return error;
  }
  const char* field = subject_field(error.code);
  const auto found = field ? reply.parameters.find(field) : reply.parameters.end();
  const std::string subject = found != reply.parameters.end() && found->is_string() ? found->get<std::string>() : "";
  if (field && std::string_view(field) == "message")
    error.message = subject;
  else
    error.message = "memiod did not accept the " + std::string(field ? field : "call") +
                    (subject.empty() ? "" : " '" + subject + "'");
  return error;
}

}  // namespace memio

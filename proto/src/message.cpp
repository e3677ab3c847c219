// SPDX-License-Identifier: MIT
#include "memio/message.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "memio/json_scanner.h"
#include "memio/raw_json.h"
#include "memio/strict_json.h"

namespace memio {

namespace {

tl::unexpected<Error> malformed(std::string reason) { return fail(Errc::malformed_message, std::move(reason)); }

// Members of the parameters that are of the type object: nobody who reads a message looks into them.
bool is_passed_on(std::string_view name) {
  constexpr std::array names = {"arguments", "result", "details", "payload", "value"};
  return std::ranges::find(names, name) != names.end();
}

// The parameters, with what is passed on as its text.
std::optional<Json> parse_parameters(std::string_view text) {
  constexpr unsigned depth = 1;
  Json parameters = Json::object();
  JsonScanner scanner(text, depth);
  if (!scanner.enter_object()) return std::nullopt;
  while (const auto name = scanner.next_member()) {
    const auto value = scanner.take_value();
    if (!value || name->find('\\') != name->npos) return std::nullopt;
    if (is_passed_on(*name) && *value != "null") {
      parameters[std::string(*name)] = to_raw(std::string(*value));
      continue;
    }
    auto parsed = parse_strictly(*value);
    if (!parsed) return std::nullopt;
    parameters[std::string(*name)] = std::move(*parsed);
  }
  if (!scanner.at_end()) return std::nullopt;
  return parameters;
}

// A message that passes values on, which need not be taken apart for that. Nothing if it is none, or none of the usual
// kind; then it is read in the other way, which also says what is wrong with it.
std::optional<Json> parse_passing_on(std::string_view text) {
  Json message = Json::object();
  JsonScanner scanner(text);
  if (!scanner.enter_object()) return std::nullopt;
  while (const auto name = scanner.next_member()) {
    const auto value = scanner.take_value();
    if (!value || name->find('\\') != name->npos) return std::nullopt;
    auto& member = message[std::string(*name)];
    if (*name == "parameters") {
      auto parameters = parse_parameters(*value);
      if (!parameters) return std::nullopt;
      member = std::move(*parameters);
    } else if (*value == "true" || *value == "false") {
      member = *value == "true";
    } else {
      auto parsed = parse_strictly(*value);
      if (!parsed) return std::nullopt;
      member = std::move(*parsed);
    }
  }
  if (!scanner.at_end()) return std::nullopt;
  return message;
}

Result<Json> parse_object(std::string_view text, Objects objects) {
  if (objects == Objects::passed_on)
    if (auto passing_on = parse_passing_on(text)) return std::move(*passing_on);
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
  // Only calls of these have something to pass on. That the words are somewhere else in the text costs a look, no more.
  constexpr std::array methods = {"\"io.memio.Invoke\"", "\"io.memio.Answer\"", "\"io.memio.Emit\""};
  const bool passes_on =
      std::ranges::any_of(methods, [&](const char* method) { return text.find(method) != text.npos; });
  auto json = parse_object(text, passes_on ? Objects::passed_on : Objects::parsed);
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

Result<Reply> decode_reply(std::string_view text, Objects objects) {
  auto json = parse_object(text, objects);
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
  return encode(WrittenCall{call.method, {to_text(call.parameters)}, call.more, call.oneway});
}

std::string encode(const Reply& reply) {
  std::string begin = reply.continues ? R"({"continues":true,)" : "{";
  if (!reply.error.empty()) {
    begin += R"("error":)";
    append_json_string(begin, reply.error);
    begin += ',';
  }
  return enclose(std::move(begin), to_text(reply.parameters));
}

Reply to_reply(const Error& error) {
  Reply reply{std::string(error.name())};
  if (const char* field = subject_field(error.code)) {
    const bool sentence = std::string_view(field) == "message";
    reply.parameters[field] = sentence ? Error{Errc::system, error.system_errno, error.message}.text() : error.message;
  }
  if (error.code == Errc::command_failed) {
    reply.parameters["error"] = error.rejection ? error.rejection->error : std::string();
    if (error.rejection && !error.rejection->details.empty())
      reply.parameters["details"] = to_raw(error.rejection->details);
  }
  return reply;
}

namespace {

std::shared_ptr<const Rejection> rejection_of(const Json& parameters) {
  auto rejection = std::make_shared<Rejection>();
  if (const auto name = parameters.find("error"); name != parameters.end() && name->is_string())
    rejection->error = name->get<std::string>();
  if (const auto details = parameters.find("details"); details != parameters.end() && !details->is_null())
    rejection->details = to_text(*details);
  return rejection;
}

}  // namespace

Error to_error(const Reply& reply) {
  Error error{error_from_name(reply.error)};
  if (error.code == Errc::protocol_violation) {
    error.message = "memiod answered with an error that this version does not know: " + reply.error;
    return error;
  }
  if (error.code == Errc::command_failed) error.rejection = rejection_of(reply.parameters);
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

// SPDX-License-Identifier: MIT
#include "memio/raw_json.h"

#include <algorithm>

namespace memio {

namespace {

// Almost all strings of the protocol are written as they are.
bool is_plain(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

void append_string(std::string& to, const Json& json) {
  const auto& text = json.get_ref<const std::string&>();
  if (is_plain(text))
    to.append(1, '"').append(text).append(1, '"');
  else
    to += json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_name(std::string& to, const std::string& name) {
  if (is_plain(name))
    to.append(1, '"').append(name).append(1, '"');
  else
    to += Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append(std::string& to, const Json& json) {
  switch (json.type()) {
    case Json::value_t::object: {
      char before = '{';
      for (const auto& [name, value] : json.get_ref<const Json::object_t&>()) {
        to += before;
        append_name(to, name);
        to += ':';
        append(to, value);
        before = ',';
      }
      to += before == '{' ? "{}" : "}";
      break;
    }
    case Json::value_t::array: {
      char before = '[';
      for (const auto& value : json.get_ref<const Json::array_t&>()) {
        to += before;
        append(to, value);
        before = ',';
      }
      to += before == '[' ? "[]" : "]";
      break;
    }
    case Json::value_t::string: append_string(to, json); break;
    case Json::value_t::number_unsigned: to += std::to_string(json.get<std::uint64_t>()); break;
    case Json::value_t::binary: {
      const auto& text = json.get_binary();
      to.append(reinterpret_cast<const char*>(text.data()), text.size());
      break;
    }
    default: to += json.dump();
  }
}

}  // namespace

Json to_raw(std::string text) { return Json::binary(Json::binary_t::container_type(text.begin(), text.end())); }

std::string to_text(const Json& json) {
  std::string text;
  append(text, json);
  return text;
}

}  // namespace memio

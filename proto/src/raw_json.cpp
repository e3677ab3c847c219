// SPDX-License-Identifier: MIT
#include "memio/raw_json.h"

namespace memio {

namespace {

void append(std::string& to, const Json& json) {
  switch (json.type()) {
    case Json::value_t::object: {
      char before = '{';
      for (const auto& [name, value] : json.get_ref<const Json::object_t&>()) {
        to += before;
        append_json_string(to, name);
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
    case Json::value_t::string: append_json_string(to, json.get_ref<const std::string&>()); break;
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

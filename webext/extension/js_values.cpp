// SPDX-License-Identifier: MIT
#include "js_values.h"

#include <cmath>

namespace memio::webext {

namespace {

constexpr double largest_integer = 9007199254740991;  // 2^53 - 1
constexpr std::size_t longest_description = 60;

}  // namespace

std::optional<std::uint64_t> Arguments::number(unsigned index) const {
  JSCValue* value = at(index);
  if (!value || !jsc_value_is_number(value)) return std::nullopt;
  const double number = jsc_value_to_double(value);
  if (!(number >= 0 && number <= largest_integer) || std::trunc(number) != number) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

std::optional<std::string> Arguments::string(unsigned index) const {
  JSCValue* value = at(index);
  if (!value || !jsc_value_is_string(value)) return std::nullopt;
  GBytes* bytes = jsc_value_to_string_as_bytes(value);
  gsize size = 0;
  const auto* data = static_cast<const char*>(g_bytes_get_data(bytes, &size));
  std::string text(data, size);
  g_bytes_unref(bytes);
  return text;
}

std::string describe(JSCValue* value) {
  if (!value || jsc_value_is_undefined(value)) return "nothing";
  if (jsc_value_is_null(value)) return "null";
  // What is no primitive would be turned to a string by code of the page's.
  if (!jsc_value_is_number(value) && !jsc_value_is_string(value) && !jsc_value_is_boolean(value)) return "an object";
  const CharPtr text(jsc_value_to_string(value));
  std::string short_text(text ? text.get() : "");
  if (short_text.size() > longest_description) {
    gsize end = longest_description;
    while (end > 0 && (static_cast<unsigned char>(short_text[end]) & 0xc0) == 0x80) --end;  // whole characters
    short_text = short_text.substr(0, end) + "...";
  }
  return jsc_value_is_string(value) ? '"' + short_text + '"' : short_text;
}

std::string sentence_of(const Error& error) {
  std::string text = error.text();
  const std::string name = " (" + std::string(error.name()) + ")";
  if (text.ends_with(name)) text.resize(text.size() - name.size());
  return text;
}

JsValue to_js(JSCContext* context, const Error& error) {
  // As JSON, because setting a property can call code of the page's.
  return to_js(context, Json{{"error", error.name()}, {"message", sentence_of(error)}});
}

JsValue to_js(JSCContext* context, const Json& json) {
  // Whatever is no UTF-8 in it is replaced: a throw would lose the answer.
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return JsValue(jsc_value_new_from_json(context, text.c_str()));
}

JsValue to_js(JSCContext* context, std::uint64_t number) {
  return JsValue(jsc_value_new_number(context, static_cast<double>(number)));
}

}  // namespace memio::webext

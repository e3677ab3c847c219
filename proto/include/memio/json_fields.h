// SPDX-License-Identifier: MIT
#pragma once

// Reads and writes the fields of a protocol object strictly: a field that is missing, of another type or unknown is an
// error that names it. Only in replies unknown ones are left out: they are those of a newer memiod. The code that
// proto/generate.py makes is the only user.

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memio/json_text.h"
#include "memio/raw_json.h"
#include "memio/result.h"

namespace memio::protocol {

using memio::Json;

class FieldReader;
class FieldWriter;

// The words of an enum in the protocol, in the order of its values.
template <class E>
struct EnumNames;

template <class T>
concept NamedEnum = requires {
  EnumNames<T>::names;
};

template <NamedEnum E>
[[nodiscard]] constexpr std::string_view to_string(E value) noexcept {
  return EnumNames<E>::names[static_cast<std::size_t>(value)];
}

template <NamedEnum E>
[[nodiscard]] constexpr std::optional<E> from_string(std::string_view name) noexcept {
  for (std::size_t i = 0; i < EnumNames<E>::names.size(); ++i)
    if (EnumNames<E>::names[i] == name) return static_cast<E>(i);
  return std::nullopt;
}

// A struct of the protocol: the generated functions are found by argument-dependent look-up.
template <class T>
concept Struct = requires(FieldWriter& writer, FieldReader& reader, T& value) {
  write_fields(writer, value);
  read_fields(reader, value);
};

enum class UnknownFields : std::uint8_t { refused, left_out };

// Reads an object's fields, in any order. What is wrong is only spelled out when something is.
class FieldReader {
 public:
  // Borrows `object`.
  FieldReader(const Json& object, UnknownFields unknown) : object_(object), unknown_(unknown) {
    constexpr std::size_t usual = 16;
    known_.reserve(usual);
  }

  template <class T>
  void read(std::string_view name, T& value) {
    known_.push_back(name);
    if (failed_) return;
    const auto found = object_.find(name);
    if (found == object_.end()) {
      failed_.emplace(name);
      return;
    }
    ++found_;
    read_value(name, *found, value);
  }

  template <class T>
  void read(std::string_view name, std::optional<T>& value) {
    known_.push_back(name);
    if (failed_) return;
    const auto found = object_.find(name);
    if (found == object_.end()) return;
    ++found_;
    if (!found->is_null()) read_value(name, *found, value.emplace());
  }

  // The name of the first field that is wrong, if one is.
  [[nodiscard]] std::optional<std::string> finish() {
    if (!failed_ && unknown_ == UnknownFields::refused && found_ < object_.size()) failed_ = unknown_field();
    return std::move(failed_);
  }

 private:
  template <class T>
  void read_value(std::string_view name, const Json& json, T& value) {
    std::string inside;
    if (!read_json(json, value, inside)) failed_ = std::string(name) + inside;
  }

  [[nodiscard]] std::string unknown_field() const {
    for (const auto& item : object_.items())
      if (std::ranges::find(known_, item.key()) == known_.end()) return item.key();
    return {};
  }

  // Each is false if the value is not what it should be; `inside` is then where in it, and stays empty if that is the
  // value itself.
  static bool read_json(const Json& json, std::string& value, std::string&) {
    if (!json.is_string()) return false;
    value = json.get_ref<const std::string&>();
    return true;
  }
  static bool read_json(const Json& json, bool& value, std::string&) {
    if (!json.is_boolean()) return false;
    value = json.get<bool>();
    return true;
  }
  static bool read_json(const Json& json, std::uint64_t& value, std::string&) {
    if (!json.is_number_unsigned()) return false;  // nlohmann keeps every non-negative integer so
    value = json.get<std::uint64_t>();
    return true;
  }
  static bool read_json(const Json& json, JsonText& value, std::string&) {
    value.text = memio::to_text(json);
    return true;
  }
  template <NamedEnum E>
  static bool read_json(const Json& json, E& value, std::string&) {
    const auto parsed = json.is_string() ? from_string<E>(json.get_ref<const std::string&>()) : std::nullopt;
    if (parsed) value = *parsed;
    return parsed.has_value();
  }
  template <class T>
  bool read_json(const Json& json, std::vector<T>& value, std::string& inside) {
    if (!json.is_array()) return false;
    for (const auto& element : json) {
      if (read_json(element, value.emplace_back(), inside)) continue;
      inside = "[" + std::to_string(value.size() - 1) + "]" + inside;
      return false;
    }
    return true;
  }
  template <Struct T>
  bool read_json(const Json& json, T& value, std::string& inside) {
    if (!json.is_object()) return false;
    FieldReader reader(json, unknown_);
    read_fields(reader, value);
    const auto wrong = reader.finish();
    if (wrong) inside = "." + *wrong;
    return !wrong;
  }

  const Json& object_;
  UnknownFields unknown_;
  std::size_t found_ = 0;
  std::optional<std::string> failed_;
  std::vector<std::string_view> known_;
};

// Reads a whole object. Error: invalid_parameter, its message the name of the field that is wrong.
template <Struct T>
[[nodiscard]] Result<T> parse(const Json& json, UnknownFields unknown = UnknownFields::refused) {
  if (!json.is_object()) return fail(Errc::invalid_parameter, "parameters");
  T value;
  FieldReader reader(json, unknown);
  read_fields(reader, value);
  if (auto wrong = reader.finish()) return fail(Errc::invalid_parameter, std::move(*wrong));
  return value;
}

// The same for a reply, of a memiod that may be newer.
template <Struct T>
[[nodiscard]] Result<T> parse_reply(const Json& json) {
  return parse<T>(json, UnknownFields::left_out);
}

// Writes an object's fields as text, in the order in which it is told of them: that of their names.
class FieldWriter {
 public:
  // Borrows `text`, at whose end the object has begun.
  explicit FieldWriter(std::string& text) : text_(text) {}

  template <class T>
  void write(std::string_view name, const T& value) {
    if (!first_) text_ += ',';
    first_ = false;
    text_ += '"';
    text_ += name;
    text_ += "\":";
    write_value(text_, value);
  }
  template <class T>
  void write(std::string_view name, const std::optional<T>& value) {
    if (value) write(name, *value);
  }

  static void write_value(std::string& text, const std::string& value) { append_json_string(text, value); }
  static void write_value(std::string& text, bool value) { text += value ? "true" : "false"; }
  static void write_value(std::string& text, std::uint64_t value) {
    std::array<char, 20> digits;  // of the largest
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  }
  static void write_value(std::string& text, const JsonText& value) { text += value.text; }
  template <NamedEnum E>
  static void write_value(std::string& text, E value) {
    append_json_string(text, to_string(value));
  }
  template <class T>
  static void write_value(std::string& text, const std::vector<T>& values) {
    text += '[';
    for (const auto& value : values) {
      if (&value != values.data()) text += ',';
      write_value(text, value);
    }
    text += ']';
  }
  template <Struct T>
  static void write_value(std::string& text, const T& value) {
    text += '{';
    FieldWriter writer(text);
    write_fields(writer, value);
    text += '}';
  }

 private:
  std::string& text_;
  bool first_ = true;
};

template <Struct T>
[[nodiscard]] JsonText to_text(const T& value) {
  constexpr std::size_t usual = 512;
  JsonText json{std::string()};
  json.text.reserve(usual);
  FieldWriter::write_value(json.text, value);
  return json;
}

// For whoever goes on with it as Json.
template <Struct T>
[[nodiscard]] Json to_json(const T& value) {
  return Json::parse(to_text(value).text);
}

}  // namespace memio::protocol

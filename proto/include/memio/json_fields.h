// SPDX-License-Identifier: MIT
#pragma once

// Reads and writes the fields of a protocol object strictly: a field that is missing, of another type or unknown is an
// error that names it. The code that proto/generate.py makes is the only user.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memio/raw_json.h"
#include "memio/result.h"

namespace memio::protocol {

using memio::Json;

class FieldReader;

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
concept Struct = requires(Json& json, FieldReader& reader, T& value) {
  write_fields(json, value);
  read_fields(reader, value);
};

class FieldReader {
 public:
  // Borrows `object`. `path` is the name of the object itself, put before its fields' names in errors.
  FieldReader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object_.is_object()) failed_ = path_.empty() ? "parameters" : path_;
  }

  template <class T>
  void read(std::string_view name, T& value) {
    known_.push_back(name);
    if (!failed_.empty()) return;
    const auto found = object_.find(name);
    if (found == object_.end()) {
      failed_ = full_name(name);
      return;
    }
    read_value(*found, full_name(name), value);
  }

  template <class T>
  void read(std::string_view name, std::optional<T>& value) {
    known_.push_back(name);
    if (!failed_.empty()) return;
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) return;
    read_value(*found, full_name(name), value.emplace());
  }

  // The name of the first field that is wrong, or an empty string.
  [[nodiscard]] std::string finish() {
    if (!failed_.empty()) return failed_;
    for (const auto& item : object_.items()) {
      bool is_known = false;
      for (const auto name : known_) is_known = is_known || name == item.key();
      if (!is_known) return full_name(item.key());
    }
    return {};
  }

 private:
  [[nodiscard]] std::string full_name(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }

  void read_value(const Json& json, const std::string& name, std::string& value) {
    if (json.is_string())
      value = json.get<std::string>();
    else
      failed_ = name;
  }
  void read_value(const Json& json, const std::string& name, bool& value) {
    if (json.is_boolean())
      value = json.get<bool>();
    else
      failed_ = name;
  }
  void read_value(const Json& json, const std::string& name, std::uint64_t& value) {
    if (json.is_number_unsigned())  // nlohmann keeps every non-negative integer so
      value = json.get<std::uint64_t>();
    else
      failed_ = name;
  }
  void read_value(const Json& json, const std::string&, JsonText& value) { value.text = to_text(json); }
  template <NamedEnum E>
  void read_value(const Json& json, const std::string& name, E& value) {
    const auto parsed = json.is_string() ? from_string<E>(json.get_ref<const std::string&>()) : std::nullopt;
    if (parsed)
      value = *parsed;
    else
      failed_ = name;
  }
  template <class T>
  void read_value(const Json& json, const std::string& name, std::vector<T>& value) {
    if (!json.is_array()) {
      failed_ = name;
      return;
    }
    for (const auto& element : json) {
      const std::string element_name = name + "[" + std::to_string(value.size()) + "]";
      read_value(element, element_name, value.emplace_back());
      if (!failed_.empty()) return;
    }
  }
  template <Struct T>
  void read_value(const Json& json, const std::string& name, T& value) {
    FieldReader reader(json, name);
    read_fields(reader, value);
    failed_ = reader.finish();
  }

  const Json& object_;
  std::string path_;
  std::string failed_;
  std::vector<std::string_view> known_;
};

template <Struct T>
[[nodiscard]] Json to_json(const T& value) {
  Json json = Json::object();
  write_fields(json, value);
  return json;
}

// Reads a whole object. Error: invalid_parameter, its message the name of the field that is wrong.
template <Struct T>
[[nodiscard]] Result<T> parse(const Json& json) {
  T value;
  FieldReader reader(json, {});
  read_fields(reader, value);
  if (auto wrong = reader.finish(); !wrong.empty()) return fail(Errc::invalid_parameter, std::move(wrong));
  return value;
}

template <class T>
[[nodiscard]] Json value_to_json(const T& value) {
  if constexpr (Struct<T>)
    return to_json(value);
  else if constexpr (NamedEnum<T>)
    return to_string(value);
  else if constexpr (std::is_same_v<T, JsonText>)
    return to_raw(value.text);
  else
    return value;
}
template <class T>
[[nodiscard]] Json value_to_json(const std::vector<T>& values) {
  Json array = Json::array();
  for (const auto& value : values) array.push_back(value_to_json(value));
  return array;
}

template <class T>
void write_field(Json& json, const char* name, const T& value) {
  json[name] = value_to_json(value);
}
template <class T>
void write_field(Json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = value_to_json(*value);
}

}  // namespace memio::protocol

// SPDX-License-Identifier: MIT
#include "memio/strict_json.h"

#include <algorithm>
#include <array>
#include <utility>

namespace memio {

namespace {

// What the parser calls: builds the value, and ends the parse at what the parser itself would let pass. Of a member
// that an object has twice it would keep the last one and say nothing, and the next program to look at the message
// might keep the first; and what is nested deep makes a recursion deep, if only when it is destroyed.
class StrictBuilder {
 public:
  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Json::number_integer_t value) { return add(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return add(value); }
  bool number_float(Json::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open(Json::value_t::object); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Json::value_t::array); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [member, is_new] = open_[depth_ - 1]->get_ref<Json::object_t&>().try_emplace(std::move(name));
    if (!is_new) return fail("has the member '" + member->first + "' twice");
    member_ = &member->second;
    return true;
  }

  bool parse_error(std::size_t byte, const std::string&, const Json::exception& error) {
    constexpr int out_of_range = 406;
    if (error.id == out_of_range) return fail("has a number that is too large to be read");
    return fail("is not JSON", byte, expectation_of(error));
  }

  Json take_value() { return std::move(value_); }
  JsonProblem take_problem() { return std::move(problem_); }

 private:
  bool fail(std::string what, std::size_t byte = 0, std::string expected = {}) {
    problem_ = {std::move(what), byte, std::move(expected)};
    return false;
  }

  // Puts a value where it belongs.
  template <class T>
  Json& place(T&& value) {
    if (depth_ == 0) return value_ = std::forward<T>(value);
    Json& parent = *open_[depth_ - 1];
    if (parent.is_object()) return *member_ = std::forward<T>(value);
    return parent.get_ref<Json::array_t&>().emplace_back(std::forward<T>(value));
  }
  template <class T>
  bool add(T&& value) {
    place(std::forward<T>(value));
    return true;
  }
  bool open(Json::value_t kind) {
    if (depth_ == max_nesting) return fail("nests objects more than " + std::to_string(max_nesting) + " deep");
    Json& opened = place(kind);
    open_[depth_++] = &opened;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  Json value_;
  std::array<Json*, max_nesting> open_{};  // not closed yet; each is the last of the one before, so none moves
  std::size_t depth_ = 0;
  Json* member_ = nullptr;  // of the innermost, whose value comes next
  JsonProblem problem_;
};

}  // namespace

tl::expected<Json, JsonProblem> parse_strictly(std::string_view text) {
  StrictBuilder builder;
  if (!Json::sax_parse(text, &builder)) return tl::unexpected<JsonProblem>(builder.take_problem());
  return builder.take_value();
}

std::string expectation_of(const Json::exception& error) {
  constexpr std::string_view mark = "; expected ";
  std::string_view message = error.what();
  message = message.substr(0, message.find("; last read: "));  // from here on it may be bytes of any kind
  const auto at = message.rfind(mark);
  return at == message.npos ? std::string() : std::string(message.substr(at + mark.size()));
}

TextPlace find_place(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  const auto line_start = before.rfind('\n');
  return {.line = 1 + static_cast<std::size_t>(std::ranges::count(before, '\n')),
          .column = line_start == before.npos ? before.size() + 1 : before.size() - line_start};
}

}  // namespace memio

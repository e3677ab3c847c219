// SPDX-License-Identifier: MIT
// nlohmann's parser tells of each value as soon as it has read it, but not where that began. So the iterator by which
// it reads tells how far it has come; between two values are only blanks, comments and punctuation, which are skipped.
#include "located_json.h"

#include <algorithm>
#include <iterator>

#include "memio/strict_json.h"

namespace memio::broker {

namespace {

class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

// What the parser calls: builds the tree. False ends the parse.
class Builder {
 public:
  explicit Builder(std::string_view text) : text_(text), reached_(text.data()) {}

  CountingIterator begin() { return {text_.data(), &reached_}; }
  CountingIterator end() { return {text_.data() + text_.size(), &reached_}; }
  LocatedJson take_root() { return std::move(root_); }
  LocatedProblem take_problem() { return std::move(problem_); }

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(Json::number_integer_t value) { return number(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return number(value); }
  bool number_float(Json::number_float_t value, const std::string&) { return number(value); }
  bool string(std::string& value) { return scalar(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open(Json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto byte = start_of_token();
    token_end_ = position();
    auto& members = open_.back()->members;
    if (std::ranges::find(members, name, &LocatedJson::Member::name) != members.end())
      return fail(byte,
                  "the member " + Json(name).dump(-1, ' ', false, Json::error_handler_t::replace) + " is there twice");
    members.push_back({name, byte, {}});
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    constexpr int out_of_range = 406;
    if (error.id == out_of_range) return fail(start_of_token(), "the number is too large to be read");
    const auto expected = expectation_of(error);
    return fail(start_of_token(), expected.empty() ? "not JSON" : "not JSON; expected " + expected);
  }

 private:
  [[nodiscard]] std::size_t position() const { return static_cast<std::size_t>(reached_ - text_.data()); }

  bool fail(std::size_t byte, std::string what) {
    problem_ = {byte, std::move(what)};
    return false;
  }

  // The first byte, from the end of the last value on, that is part of one.
  [[nodiscard]] std::size_t start_of_token() const {
    auto at = token_end_;
    while (at < text_.size()) {
      const auto rest = text_.substr(at);
      const auto skip_past = [&](std::string_view end) {
        const auto found = rest.find(end, 2);
        at = found == rest.npos ? text_.size() : at + found + end.size();
      };
      if (rest.starts_with("//"))
        skip_past("\n");
      else if (rest.starts_with("/*"))
        skip_past("*/");
      else if (std::string_view(" \t\r\n,:\xEF\xBB\xBF").find(rest.front()) != std::string_view::npos)
        ++at;
      else
        break;
    }
    return at;
  }

  // Where the next value belongs.
  LocatedJson& place() {
    if (open_.empty()) return root_;
    if (open_.back()->value.is_object()) return open_.back()->members.back().value;
    return open_.back()->elements.emplace_back();
  }

  bool scalar(Json value) {
    auto& to = place();
    to.byte = start_of_token();
    to.value = std::move(value);
    token_end_ = position();
    return true;
  }
  // The end of a number is only seen at the byte after it.
  bool number(Json value) {
    scalar(std::move(value));
    while (token_end_ > 0 && std::string_view("0123456789").find(text_[token_end_ - 1]) == std::string_view::npos)
      --token_end_;
    return true;
  }
  bool open(Json kind) {
    auto& to = place();
    to.byte = start_of_token();
    to.value = std::move(kind);
    token_end_ = position();
    if (open_.size() >= max_nesting)
      return fail(to.byte, "objects are nested more than " + std::to_string(max_nesting) + " deep");
    open_.push_back(&to);
    return true;
  }
  bool close() {
    open_.pop_back();
    token_end_ = position();
    return true;
  }

  std::string_view text_;
  const char* reached_;
  std::size_t token_end_ = 0;
  LocatedJson root_;
  // Those that are not closed yet, the innermost last. None of them moves while it is here: only the innermost gets
  // more elements, and its own are closed before.
  std::vector<LocatedJson*> open_;
  LocatedProblem problem_;
};

}  // namespace

tl::expected<LocatedJson, LocatedProblem> parse_located(std::string_view text) {
  Builder builder(text);
  if (Json::sax_parse(builder.begin(), builder.end(), &builder, Json::input_format_t::json, true, true))
    return builder.take_root();
  return tl::unexpected<LocatedProblem>(builder.take_problem());
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

// Goes over a JSON text and makes nothing of it: says whether it is one, as strictly as parse_strictly(), and where its
// parts are. For values that are passed on as their text.

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace memio {

class JsonScanner {
 public:
  // Borrows the text. Objects and arrays in it are `depth` deep already.
  explicit JsonScanner(std::string_view text, unsigned depth = 0) : text_(text), depth_(depth) {}

  // The text of the next value, without the blanks around it; nothing if there is none that is well-formed.
  std::optional<std::string_view> take_value();
  // Whether there is nothing left but blanks.
  bool at_end();

  // Goes through an object: enter_object() once, then next_member() until it gives nothing, with a value taken after
  // each. What is wrong shows in failed().
  bool enter_object();
  // The member's name, as it stands between the quotes.
  std::optional<std::string_view> next_member();
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  void skip_blanks() noexcept;
  bool take(char c) noexcept;
  bool take_word(std::string_view word) noexcept;
  bool skip_value();
  bool skip_object();
  bool skip_array();
  bool skip_number();
  bool skip_string();
  bool skip_escape();
  std::optional<unsigned> take_hex() noexcept;
  bool skip_utf8() noexcept;
  // Notes the name that was just skipped, for is_each_once().
  void note_name(std::size_t begin);
  bool is_each_once(std::size_t first_name);
  bool refuse() noexcept {
    failed_ = true;
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned depth_;
  bool failed_ = false;
  bool had_escape_ = false;              // in the string that was skipped last
  bool first_member_ = true;             // of the object that is gone through
  std::vector<std::string_view> names_;  // of the objects that are open, one after the other
  std::deque<std::string> without_escapes_;
};

// Whether a text is one JSON value.
[[nodiscard]] bool is_json(std::string_view text);

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

// JavaScript values: reading those that come from a page, which is never believed, and making those that go there.

#include <optional>
#include <string>

#include "../common/glib_ptr.h"
#include "memio/message.h"
#include "memio/result.h"
#include "webkit_extension.h"

namespace memio::webext {

using JsValue = ObjectPtr<JSCValue>;

// The arguments of a native function.
class Arguments {
 public:
  explicit Arguments(const GPtrArray* values) noexcept : values_(values) {}

  // The argument, borrowed; null if there are fewer.
  [[nodiscard]] JSCValue* at(unsigned index) const noexcept {
    return index < values_->len ? static_cast<JSCValue*>(values_->pdata[index]) : nullptr;
  }
  [[nodiscard]] bool absent(unsigned index) const noexcept {
    return !at(index) || jsc_value_is_undefined(at(index)) || jsc_value_is_null(at(index));
  }
  // Only what is a number already is one, and only an integer from 0 to 2^53 - 1: nothing of the page's is called.
  [[nodiscard]] std::optional<std::uint64_t> number(unsigned index) const;
  // Only what is a string already.
  [[nodiscard]] std::optional<std::string> string(unsigned index) const;

 private:
  const GPtrArray* values_;
};

// How an argument reads in an error message; short, whatever it is.
std::string describe(JSCValue* value);

// What is wrong, without the name that Error::text() adds: that is the MemioError's `name`.
std::string sentence_of(const Error& error);

// The {error, message} by which a native function says that it failed.
JsValue to_js(JSCContext* context, const Error& error);
JsValue to_js(JSCContext* context, const Json& json);
// As JavaScript has numbers: exact up to 2^53.
JsValue to_js(JSCContext* context, std::uint64_t number);

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
// Random names and patterns. A name that is allowed stays inside any folder; a pattern without stars matches itself
// alone.

#include <algorithm>

#include "fuzz.h"
#include "memio/region_name.h"

using memio::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memio::fuzz::Input input(data, size);
  const auto pattern = input.take(input.byte());
  const auto name = input.rest();
  const auto checked = memio::check_name(name);
  if (checked) {
    require(!name.empty() && name.size() <= memio::max_name_length && name.front() != '/' && name.back() != '/');
    require(name.find("//") == std::string_view::npos && name.find('\0') == std::string_view::npos);
    require(name != ".." && !name.starts_with("../") && !name.ends_with("/..") &&
            name.find("/../") == std::string_view::npos);
    require(memio::check_pattern(name).has_value() && memio::matches(name, name) && memio::matches("**", name));
    require(memio::matches("*", name) == (name.find('/') == std::string_view::npos));
  } else {
    // The reason can stand in a message, whatever bytes the name has.
    require(!checked.error().message.empty() &&
            std::ranges::all_of(checked.error().message, [](char c) { return c >= 0x20 && c < 0x7f; }));
  }
  if (memio::check_pattern(pattern) && checked && pattern.find('*') == std::string_view::npos)
    require(memio::matches(pattern, name) == (pattern == name));
  else
    (void)memio::matches(pattern, name);
  return 0;
}

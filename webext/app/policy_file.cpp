// SPDX-License-Identifier: MIT
// Reads a policy top-down. Each function is given a value and its place, and its errors name both.
#include "policy_file.h"

#include <algorithm>
#include <optional>
#include <string>

#include "memio/protocol_json.h"
#include "memio/region_name.h"
#include "memio/strict_json.h"

namespace memio::webext {

namespace {

// A value of the file and where it is, such as "rules[0].origins[1]".
struct Value {
  const Json& json;
  std::string place;

  [[nodiscard]] Value element(std::size_t index) const {
    return {json[index], place + '[' + std::to_string(index) + ']'};
  }
  [[nodiscard]] Value member(const std::string& name) const {
    return {json[name], place.empty() ? name : place + '.' + name};
  }
  [[nodiscard]] bool has(const char* name) const { return json.contains(name); }
};

constexpr std::size_t longest_shown = 60;

std::string show(const Json& json) {
  std::string text = json.is_string() ? json.dump() : std::string(json.type_name());
  if (json.is_boolean()) text = json.dump();
  if (json.is_array()) text = json.empty() ? "an empty array" : "an array";
  if (json.is_object()) text = "an object";
  if (text.size() > longest_shown) text = "a longer text";
  return text;
}

tl::unexpected<Error> wrong(const std::string& place, const std::string& what) {
  return fail(Errc::invalid_parameter, (place.empty() ? "the file" : place) + ": " + what);
}
tl::unexpected<Error> expected(const Value& value, const std::string& what) {
  return wrong(value.place, "expected " + what + ", not " + show(value.json));
}

// An object that has no members but `known`, and all of `required`.
Result<void> check_object(const Value& value, const std::string& what, const std::vector<std::string>& known,
                          const std::vector<std::string>& required) {
  if (!value.json.is_object()) return expected(value, what);
  std::string names;
  for (const auto& name : known) names.append(names.empty() ? "" : ", ").append(name);
  for (const auto& [name, member] : value.json.items())
    if (std::ranges::find(known, name) == known.end())
      return wrong(value.place, "unknown member " + show(Json(name)) + "; " + what + " has " + names);
  for (const auto& name : required)
    if (!value.json.contains(name)) return wrong(value.place, "no member \"" + name + "\"; " + what + " needs it");
  return {};
}

// An array of at least one element, each as `read` reads it.
template <class T>
Result<std::vector<T>> read_list(const Value& value, const std::string& what, Result<T> (*read)(const Value&)) {
  if (!value.json.is_array() || value.json.empty()) return expected(value, "an array of one or more " + what);
  std::vector<T> list;
  for (std::size_t i = 0; i < value.json.size(); ++i) {
    auto element = read(value.element(i));
    if (!element) return fail(std::move(element.error()));
    list.push_back(std::move(*element));
  }
  return list;
}

Result<OriginPattern> read_origin(const Value& value) {
  if (!value.json.is_string()) return expected(value, "a pattern of origins, such as \"https://app.local\"");
  auto pattern = OriginPattern::parse(value.json.get_ref<const std::string&>());
  if (!pattern) return wrong(value.place, pattern.error().message);
  return pattern;
}

std::string rights_text() {
  std::string text;
  for (const auto& name : protocol::EnumNames<protocol::Right>::names)
    text.append(text.empty() ? "\"" : ", \"").append(name).append("\"");
  return text;
}

Result<protocol::Right> read_right(const Value& value) {
  const auto right = value.json.is_string()
                         ? protocol::from_string<protocol::Right>(value.json.get_ref<const std::string&>())
                         : std::nullopt;
  if (!right) return expected(value, "one of " + rights_text());
  return *right;
}

Result<protocol::Grant> read_grant(const Value& value) {
  if (auto checked = check_object(value, "a grant", {"pattern", "rights"}, {"pattern", "rights"}); !checked)
    return fail(std::move(checked.error()));
  const Value pattern = value.member("pattern");
  if (!pattern.json.is_string()) return expected(pattern, "a pattern of names, such as \"camera/*\"");
  if (auto checked = check_pattern(pattern.json.get_ref<const std::string&>()); !checked)
    return wrong(pattern.place, checked.error().message);
  auto rights = read_list<protocol::Right>(value.member("rights"), "rights", read_right);
  if (!rights) return fail(std::move(rights.error()));
  return protocol::Grant{pattern.json, std::move(*rights)};
}

Result<std::string> read_layer(const Value& value) {
  if (!value.json.is_string() || !is_compatibility_layer(value.json.get_ref<const std::string&>()))
    return expected(value, "one of " + compatibility_layers_text());
  return value.json.get<std::string>();
}

Result<void> read_frames(const Value& rule, FrameRule& frames) {
  if (rule.has("frames")) {
    const Value value = rule.member("frames");
    const auto is = [&](const char* word) { return value.json == word; };
    if (!is("main") && !is("inside") && !is("all")) return expected(value, "\"main\", \"inside\" or \"all\"");
    frames.frames = is("main") ? Frames::main : is("all") ? Frames::all : Frames::inside;
  }
  const bool inside = frames.frames != Frames::main;
  if (inside != rule.has("within"))
    return wrong(rule.place, inside
                                 ? "no member \"within\"; a rule for frames inside pages has to say in which pages"
                                 : "\"within\" is of a rule for frames inside pages; expected \"frames\": \"inside\" "
                                   "or \"all\" beside it");
  if (!inside) return {};
  auto within = read_list<OriginPattern>(rule.member("within"), "patterns of origins", read_origin);
  if (!within) return fail(std::move(within.error()));
  frames.within = std::move(*within);
  return {};
}

Result<void> read_options(const Value& rule, DocumentOptions& options) {
  if (rule.has("compatibility")) {
    auto layers = read_list<std::string>(rule.member("compatibility"), "compatibility layers", read_layer);
    if (!layers) return fail(std::move(layers.error()));
    options.compatibility = std::move(*layers);
  }
  if (rule.has("workers")) {
    const Value workers = rule.member("workers");
    if (!workers.json.is_boolean()) return expected(workers, "true or false");
    options.workers = workers.json.get<bool>();
  }
  return {};
}

Result<Rule> read_rule(const Value& value) {
  if (auto checked = check_object(value, "a rule",
                                  {"description", "origins", "frames", "within", "grants", "compatibility", "workers"},
                                  {"origins", "grants"});
      !checked)
    return fail(std::move(checked.error()));
  if (value.has("description") && !value.json["description"].is_string())
    return expected(value.member("description"), "a text");
  Rule rule;
  auto origins = read_list<OriginPattern>(value.member("origins"), "patterns of origins", read_origin);
  if (!origins) return fail(std::move(origins.error()));
  rule.frames.origins = std::move(*origins);
  if (auto read = read_frames(value, rule.frames); !read) return fail(std::move(read.error()));
  auto grants = read_list<protocol::Grant>(value.member("grants"), "grants", read_grant);
  if (!grants) return fail(std::move(grants.error()));
  rule.grants = std::move(*grants);
  if (auto read = read_options(value, rule.options); !read) return fail(std::move(read.error()));
  return rule;
}

std::string line_and_column(std::string_view text, std::size_t byte) {
  const auto place = find_place(text, byte);
  return "line " + std::to_string(place.line) + ", column " + std::to_string(place.column);
}

}  // namespace

Result<std::vector<Rule>> parse_policy(std::string_view text) {
  const auto json = parse_strictly(text);
  if (!json) {
    const auto& problem = json.error();
    return wrong(problem.byte > 0 ? line_and_column(text, problem.byte) : "",
                 problem.what + (problem.expected.empty() ? "" : "; expected " + problem.expected));
  }
  const Value file{*json, ""};
  if (auto checked = check_object(file, "a policy", {"rules"}, {"rules"}); !checked)
    return fail(std::move(checked.error()));
  return read_list<Rule>(file.member("rules"), "rules", read_rule);
}

}  // namespace memio::webext

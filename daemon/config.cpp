// SPDX-License-Identifier: MIT
// Reads the configuration top-down. Each function is given a value and its place, and its errors name both.
#include "config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

#include "located_json.h"
#include "memio/protocol_json.h"
#include "memio/region_format.h"
#include "memio/region_name.h"
#include "memio/strict_json.h"
#include "similar_word.h"

namespace memio::broker {

namespace {

// A part of the file, and how it is called, such as "limits.user".
struct Place {
  const LocatedJson& json;
  std::string name;

  [[nodiscard]] Place member(const LocatedJson::Member& member) const {
    return {member.value, name.empty() ? member.name : name + "." + member.name};
  }
  [[nodiscard]] Place element(std::size_t index) const {
    return {json.elements[index], name + "[" + std::to_string(index) + "]"};
  }
};

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest_shown = 60;
  if (text.size() > longest_shown) return "a longer text";
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string show(const LocatedJson& json) {
  if (json.value.is_object()) return "an object";
  if (json.value.is_array()) return json.elements.empty() ? "an empty array" : "an array";
  return json.value.is_string() ? in_quotes(json.value.get_ref<const std::string&>()) : json.value.dump();
}

using Read = tl::expected<void, LocatedProblem>;

Read wrong(std::size_t byte, std::string what) { return tl::unexpected<LocatedProblem>({byte, std::move(what)}); }
Read expected(const Place& place, const std::string& what) {
  return wrong(place.json.byte,
               (place.name.empty() ? "" : place.name + ": ") + "expected " + what + ", not " + show(place.json));
}

// What can be set in an object: a name, and what reads its value.
template <class T>
struct Key {
  std::string_view name;
  Read (*read)(const Place&, T&);
};

template <class T>
std::vector<std::string_view> names(std::span<const Key<T>> keys) {
  std::vector<std::string_view> result;
  for (const auto& key : keys) result.push_back(key.name);
  return result;
}

Read unknown_name(const LocatedJson::Member& member, const Place& in, const std::vector<std::string_view>& known) {
  std::string message = (in.name.empty() ? "" : in.name + ": ") + in_quotes(member.name) + " cannot be set here; ";
  if (const auto similar = similar_word(member.name, known)) {
    message += "did you mean " + in_quotes(*similar) + "?";
  } else {
    message += "expected one of ";
    for (const auto name : known) message += (name == known.front() ? "" : ", ") + in_quotes(name);
  }
  return wrong(member.byte, std::move(message));
}

template <class T>
Read read_object(const Place& place, const std::string& what, std::span<const Key<T>> keys, T& to) {
  if (!place.json.value.is_object()) return expected(place, what);
  for (const auto& member : place.json.members) {
    const auto key = std::ranges::find(keys, std::string_view(member.name), &Key<T>::name);
    if (key == keys.end()) return unknown_name(member, place, names(keys));
    if (auto read = key->read(place.member(member), to); !read) return read;
  }
  return {};
}

// ---- limits

constexpr std::uint64_t most_at_all = std::uint64_t{1} << 60;

// "64M": a number and the letter of a power of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view letters = "KMGT";
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto power = rest.size() == 1 ? letters.find(rest.front()) : letters.npos;
  if (error != std::errc() || (!rest.empty() && power == letters.npos)) return std::nullopt;
  const auto shift = rest.empty() ? 0U : static_cast<unsigned>(10 * (power + 1));
  if (number > std::numeric_limits<std::uint64_t>::max() >> shift) return std::nullopt;
  return number << shift;
}

Read read_number(const Place& place, std::uint64_t& to, std::uint64_t least, std::uint64_t most, bool size) {
  const Json& value = place.json.value;
  std::optional<std::uint64_t> number;
  if (value.is_number_unsigned()) number = value.get<std::uint64_t>();
  if (size && value.is_string()) number = parse_size(value.get_ref<const std::string&>());
  if (!number || *number < least || *number > most)
    return expected(place, "a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
                               (size ? ", or one with K, M, G or T such as \"64M\"" : ""));
  to = *number;
  return {};
}

template <std::uint64_t Quota::*member, std::uint64_t least = 0, bool size = false>
Read read_quota_number(const Place& place, Quota& to) {
  return read_number(place, to.*member, least, most_at_all, size);
}

// A session has to be able to read an answer, and to go on, whatever else it may not do.
constexpr std::uint64_t least_queued = std::uint64_t{64} << 10;
constexpr std::uint64_t least_fds = 3;

Read read_quota(const Place& place, Quota& to) {
  static constexpr std::array keys = {
      Key<Quota>{"regions", read_quota_number<&Quota::regions>},
      Key<Quota>{"bytes", read_quota_number<&Quota::bytes, 0, true>},
      Key<Quota>{"handles", read_quota_number<&Quota::handles>},
      Key<Quota>{"fds", read_quota_number<&Quota::fds, least_fds>},
      Key<Quota>{"queuedBytes", read_quota_number<&Quota::queued_bytes, least_queued, true>},
      Key<Quota>{"connections", read_quota_number<&Quota::connections>},
      Key<Quota>{"watches", read_quota_number<&Quota::watches>},
      Key<Quota>{"commands", read_quota_number<&Quota::commands>},
      Key<Quota>{"listens", read_quota_number<&Quota::listens>},
      Key<Quota>{"calls", read_quota_number<&Quota::calls>},
      Key<Quota>{"mailBytes", read_quota_number<&Quota::mail_bytes, 0, true>},
      Key<Quota>{"messagesPerSecond", read_quota_number<&Quota::messages_per_second, 1>},
  };
  return read_object<Quota>(place, "an object of limits", keys, to);
}

template <std::uint64_t Limits::*member, std::uint64_t least, std::uint64_t most, bool size>
Read read_limit(const Place& place, Limits& to) {
  return read_number(place, to.*member, least, most, size);
}

Read read_limits(const Place& place, Config& to) {
  constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;
  static constexpr std::array keys = {
      Key<Limits>{"user", [](const Place& p, Limits& l) { return read_quota(p, l.user); }},
      Key<Limits>{"connection", [](const Place& p, Limits& l) { return read_quota(p, l.connection); }},
      Key<Limits>{"scoped", [](const Place& p, Limits& l) { return read_quota(p, l.scoped); }},
      Key<Limits>{"regionBytes", read_limit<&Limits::region_bytes, 4096, most_at_all, true>},
      Key<Limits>{"handlesPerRegion", read_limit<&Limits::handles_per_region, 1, format::max_cells - 1, false>},
      Key<Limits>{"messageBytes", read_limit<&Limits::message_bytes, 4096, gibibyte, true>},
      Key<Limits>{"grants", read_limit<&Limits::grants, 1, 65'536, false>},
  };
  return read_object<Limits>(place, "an object of limits", keys, to.limits);
}

// ---- policy

// Takes the value of an enum of the protocol.
Read read_right(const Place& place, std::vector<protocol::Right>& to) {
  const Json& value = place.json.value;
  const auto right =
      value.is_string() ? protocol::from_string<protocol::Right>(value.get_ref<const std::string&>()) : std::nullopt;
  if (!right) {
    std::string all;
    for (const auto name : protocol::EnumNames<protocol::Right>::names)
      all += (all.empty() ? "" : ", ") + in_quotes(name);
    return expected(place, "one of " + all);
  }
  to.push_back(*right);
  return {};
}

template <class T>
Read read_array(const Place& place, const std::string& what, Read (*read)(const Place&, std::vector<T>&),
                std::vector<T>& to) {
  if (!place.json.value.is_array()) return expected(place, what);
  to.clear();
  for (std::size_t i = 0; i < place.json.elements.size(); ++i)
    if (auto element = read(place.element(i), to); !element) return element;
  return {};
}

Read read_pattern(const Place& place, protocol::Grant& to) {
  if (!place.json.value.is_string()) return expected(place, "a pattern of names, such as \"camera/*\"");
  to.pattern = place.json.value.get<std::string>();
  if (auto checked = check_pattern(to.pattern); !checked)
    return wrong(place.json.byte, place.name + ": " + checked.error().message);
  return {};
}

Read read_grant(const Place& place, std::vector<protocol::Grant>& to) {
  static constexpr std::array keys = {
      Key<protocol::Grant>{"pattern", read_pattern},
      Key<protocol::Grant>{"rights",
                           [](const Place& p, protocol::Grant& g) {
                             return read_array<protocol::Right>(p, "an array of rights", read_right, g.rights);
                           }},
  };
  auto& grant = to.emplace_back();
  if (auto read = read_object<protocol::Grant>(place, "a grant: an object of a pattern and rights", keys, grant); !read)
    return read;
  for (const auto& key : keys)
    if (std::ranges::find(place.json.members, key.name, &LocatedJson::Member::name) == place.json.members.end())
      return wrong(place.json.byte, place.name + ": the grant has no " + in_quotes(key.name) +
                                        "; expected both \"pattern\" "
                                        "and \"rights\"");
  return {};
}

using Grants = std::vector<protocol::Grant>;

Read read_user(const Place& place, Grants& to) {
  static constexpr std::array keys = {Key<Grants>{"grants", [](const Place& p, Grants& g) {
                                                    return read_array<protocol::Grant>(p, "an array of grants",
                                                                                       read_grant, g);
                                                  }}};
  return read_object<Grants>(place, "an object with \"grants\"", keys, to);
}

Read read_policy(const Place& place, Config& to) {
  if (!place.json.value.is_object())
    return expected(place, "an object with an object for each user, by its number (uid)");
  for (const auto& member : place.json.members) {
    uid_t uid = 0;
    const auto* end = member.name.data() + member.name.size();
    const auto [parsed, error] = std::from_chars(member.name.data(), end, uid);
    if (error != std::errc() || parsed != end || uid == static_cast<uid_t>(-1))
      return wrong(member.byte, place.name + ": expected the number of a user (uid), such as \"1001\", not " +
                                    in_quotes(member.name));
    if (member.value.value.is_null()) {
      to.policy.erase(uid);
      continue;
    }
    if (auto read = read_user(place.member(member), to.policy[uid]); !read) return read;
  }
  return {};
}

Read read_socket_mode(const Place& place, Config& to) {
  constexpr unsigned octal = 8;
  const Json& value = place.json.value;
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  mode_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, octal);
  if (error != std::errc() || end != text.data() + text.size() || (mode & ~0666U) != 0 || (mode & 0600U) != 0600U)
    return expected(place, "a file mode that lets at least the owner read and write, such as \"0600\" or \"0666\"");
  to.socket_mode = mode;
  return {};
}

Read read_file(const LocatedJson& json, Config& to) {
  static constexpr std::array keys = {
      Key<Config>{"limits", read_limits},
      Key<Config>{"policy", read_policy},
      Key<Config>{"socketMode", read_socket_mode},
  };
  return read_object<Config>({json, ""}, "an object", keys, to);
}

// Nothing but blanks and comments: a file that says nothing, as an empty drop-in that hides another.
bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

}  // namespace

Result<void> read_config(std::string_view text, const std::string& name, Config& config) {
  const auto located = [&](const LocatedProblem& problem) {
    const auto place = find_place(text, problem.byte + 1);
    return fail(Errc::invalid_parameter,
                name + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": " + problem.what);
  };
  if (is_blank(text)) return {};
  const auto json = parse_located(text);
  if (!json) return located(json.error());
  Config changed = config;
  if (auto read = read_file(*json, changed); !read) return located(read.error());
  config = std::move(changed);
  return {};
}

}  // namespace memio::broker

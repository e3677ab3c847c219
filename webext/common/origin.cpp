// SPDX-License-Identifier: MIT
#include "origin.h"

#include <glib.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace memio::webext {

namespace {

struct UriUnref {
  void operator()(GUri* uri) const noexcept { g_uri_unref(uri); }
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return g_ascii_tolower(c); });
  return result;
}

int default_port(std::string_view scheme) noexcept {
  if (scheme == "http" || scheme == "ws") return 80;
  if (scheme == "https" || scheme == "wss") return 443;
  return 0;
}

// WebKit has decoded hosts where they may be; what is still encoded is another host for it. GLib would decode that too.
bool has_encoded_host(std::string_view uri) noexcept {
  const auto mark = uri.find("://");
  if (mark == uri.npos) return false;
  const auto authority = uri.substr(mark + 3);
  return authority.substr(0, authority.find_first_of("/?#")).find('%') != uri.npos;
}

bool is_scheme(std::string_view text) noexcept {
  return !text.empty() && g_ascii_isalpha(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
    return g_ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
  });
}

// A host name or address; only a whole first label may be '*'.
bool is_host_pattern(std::string_view text) noexcept {
  if (text == "*") return true;
  if (text.starts_with("*.")) text.remove_prefix(2);
  return !text.empty() && text.find('*') == text.npos && text.find_first_of("/?#@ ") == text.npos;
}

auto bad_pattern(std::string_view text, std::string_view what) {
  return fail(Errc::invalid_pattern, "\"" + std::string(text) + "\" is no pattern of origins: " + std::string(what) +
                                         ". Write it like https://app.local, https://*.example.org:8443 or *");
}

}  // namespace

std::optional<Origin> Origin::of_uri(const char* uri) {
  if (!uri || has_encoded_host(uri)) return std::nullopt;
  const std::unique_ptr<GUri, UriUnref> parsed(g_uri_parse(uri, G_URI_FLAGS_PARSE_RELAXED, nullptr));
  if (!parsed) return std::nullopt;
  Origin origin{lower(g_uri_get_scheme(parsed.get())), {}, g_uri_get_port(parsed.get())};
  if (const char* host = g_uri_get_host(parsed.get())) origin.host = lower(host);
  if (origin.port <= 0) origin.port = default_port(origin.scheme);
  if (origin.scheme == "file") return Origin{"file", {}, 0};
  if (origin.host.empty()) return std::nullopt;
  return origin;
}

Result<OriginPattern> OriginPattern::parse(std::string_view text) {
  OriginPattern pattern;
  pattern.text_ = text;
  if (text == "*") {
    pattern.any_ = true;
    return pattern;
  }
  const auto mark = text.find("://");
  if (mark == text.npos) return bad_pattern(text, "it has no scheme");
  pattern.scheme_ = lower(text.substr(0, mark));
  if (!is_scheme(pattern.scheme_)) return bad_pattern(text, "its scheme is none");
  std::string_view rest = text.substr(mark + 3);
  if (pattern.scheme_ == "file") {
    if (!rest.empty()) return bad_pattern(text, "files have one origin, file://");
    pattern.port_ = 0;
    return pattern;
  }
  pattern.port_ = default_port(pattern.scheme_);
  // The last colon starts the port, unless it is inside an IPv6 address.
  if (const auto colon = rest.rfind(':'); colon != rest.npos && rest.find(']', colon) == rest.npos) {
    const auto port = rest.substr(colon + 1);
    int number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    const bool whole = error == std::errc() && end == port.data() + port.size();
    if (port != "*" && (!whole || number < 1 || number > 65535)) return bad_pattern(text, "its port is none");
    pattern.port_ = port == "*" ? std::nullopt : std::optional(number);
    rest = rest.substr(0, colon);
  }
  pattern.host_ = lower(rest);
  if (pattern.host_.starts_with('[') && pattern.host_.ends_with(']'))
    pattern.host_ = pattern.host_.substr(1, pattern.host_.size() - 2);
  if (!is_host_pattern(pattern.host_)) return bad_pattern(text, "its host is none, or has a * where none may be");
  return pattern;
}

bool OriginPattern::matches(const Origin& origin) const noexcept {
  if (any_) return true;
  if (origin.scheme != scheme_ || (port_ && origin.port != *port_)) return false;
  if (host_ == "*") return true;
  if (!host_.starts_with("*.")) return origin.host == host_;
  const std::string_view below = std::string_view(host_).substr(1);  // with its dot
  return origin.host.size() > below.size() && origin.host.ends_with(below);
}

}  // namespace memio::webext

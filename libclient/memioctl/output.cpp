// SPDX-License-Identifier: MIT
#include "output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

namespace memio::ctl {

namespace {

using Json = nlohmann::ordered_json;

const char* word(Layout layout) { return layout == Layout::memio64 ? "memio64" : "memio24"; }
const char* word(Access access) { return access == Access::read ? "read" : "write"; }
const char* word(Lifetime lifetime) {
  switch (lifetime) {
    case Lifetime::session: return "session";
    case Lifetime::linger: return "linger";
    case Lifetime::persistent: return "persistent";
  }
  return "";
}
const char* word(EventKind kind) {
  switch (kind) {
    case EventKind::present: return "present";
    case EventKind::ready: return "ready";
    case EventKind::created: return "created";
    case EventKind::removed: return "removed";
    case EventKind::version: return "version";
  }
  return "";
}

Json to_json(const RegionInfo& region) {
  return {{"name", region.name},
          {"generation", region.generation},
          {"layout", word(region.layout)},
          {"slots", region.slots},
          {"capacity", region.capacity},
          {"stride", region.stride},
          {"lifetime", word(region.lifetime)},
          {"exclusive", region.exclusive},
          {"hugePages", region.huge_pages},
          {"shrinkAfter", region.shrink_after ? Json(*region.shrink_after) : Json(nullptr)},
          {"sequence", region.sequence},
          {"handles", region.handles}};
}

// Columns as wide as their widest cell; numbers, told by their first character, to the right.
void print_table(std::ostream& to, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      const bool number = i > 0 && &row != &rows.front() && !row[i].empty() && row[i][0] >= '0' && row[i][0] <= '9';
      line += (i > 0 ? "  " : "") + (number ? space + row[i] : row[i] + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    to << line << '\n';
  }
}

std::string slots_word(const RegionInfo& region) {
  return region.slots == 1 ? "classic" : std::to_string(region.slots) + " slots";
}

std::string memory_words(const RegionInfo& region) {
  std::string words = region.huge_pages ? ", huge pages" : "";
  if (region.shrink_after) words += ", shrunk when idle for " + std::to_string(*region.shrink_after) + " ms";
  return words;
}

}  // namespace

std::string human_size(std::uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit) value /= 1024;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

void Output::region(const RegionInfo& region) {
  if (json_)
    to_ << to_json(region).dump(2) << '\n';
  else
    to_ << "created " << region.name << ": " << slots_word(region) << " of " << human_size(region.capacity) << ", "
        << word(region.lifetime) << '\n';
}

void Output::regions(std::span<const RegionInfo> regions) {
  if (json_) {
    Json array = Json::array();
    for (const auto& region : regions) array.push_back(to_json(region));
    to_ << array.dump(2) << '\n';
    return;
  }
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "CAPACITY", "SLOTS", "LAYOUT", "LIFETIME", "PUBLISHED", "HANDLES"}};
  for (const auto& region : regions)
    rows.push_back({region.name, human_size(region.capacity), std::to_string(region.slots), word(region.layout),
                    word(region.lifetime), std::to_string(region.sequence), std::to_string(region.handles)});
  print_table(to_, rows);
}

void Output::state(const RegionState& state) {
  const RegionInfo& region = state.region;
  if (json_) {
    Json json = to_json(region);
    json["version"] = state.version;
    json["length"] = state.length;
    json["memory"] = state.memory;
    json["handleStates"] = Json::array();
    for (const auto& handle : state.handle_states)
      json["handleStates"].push_back({{"pid", handle.pid ? Json(*handle.pid) : Json(nullptr)},
                                      {"access", word(handle.access)},
                                      {"leases", handle.leases},
                                      {"writing", handle.writing}});
    to_ << json.dump(2) << '\n';
    return;
  }
  to_ << region.name << '\n'
      << "  published  " << region.sequence << " times, latest version " << state.version << ", "
      << human_size(state.length) << '\n'
      << "  capacity   " << slots_word(region) << " of " << human_size(region.capacity) << ", layout "
      << word(region.layout) << '\n'
      << "  memory     " << human_size(state.memory) << " in use" << memory_words(region) << '\n'
      << "  lifetime   " << word(region.lifetime) << ", generation " << region.generation << '\n'
      << "  handles    " << region.handles << '\n';
  for (const auto& handle : state.handle_states) {
    to_ << "    " << (handle.pid ? "process " + std::to_string(*handle.pid) : "scoped connection") << ", "
        << word(handle.access);
    for (std::size_t i = 0; i < handle.leases.size(); ++i) to_ << (i == 0 ? ", leases slot " : " ") << handle.leases[i];
    to_ << (handle.writing ? ", writing\n" : "\n");
  }
}

void Output::sessions(std::span<const SessionInfo> sessions) {
  if (json_) {
    Json array = Json::array();
    for (const auto& s : sessions)
      array.push_back({{"id", s.id},
                       {"uid", s.uid},
                       {"pid", s.pid ? Json(*s.pid) : Json(nullptr)},
                       {"scoped", s.scoped},
                       {"handles", s.handles},
                       {"watches", s.watches},
                       {"commands", s.commands},
                       {"listens", s.listens},
                       {"calls", s.calls},
                       {"regions", s.regions},
                       {"bytes", s.bytes},
                       {"queuedBytes", s.queued_bytes},
                       {"fds", s.fds},
                       {"messages", s.messages},
                       {"errors", s.errors},
                       {"pauses", s.pauses}});
    to_ << array.dump(2) << '\n';
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"SESSION", "USER", "PROCESS", "HANDLES", "WATCHES", "COMMANDS",
                                                 "LISTENS", "CALLS", "REGIONS", "SIZE", "UNREAD", "MESSAGES", "ERRORS",
                                                 "PAUSES"}};
  for (const auto& s : sessions)
    rows.push_back({std::to_string(s.id), std::to_string(s.uid),
                    s.pid ? std::to_string(*s.pid) : (s.scoped ? "scoped" : "ended"), std::to_string(s.handles),
                    std::to_string(s.watches), std::to_string(s.commands), std::to_string(s.listens),
                    std::to_string(s.calls), std::to_string(s.regions), human_size(s.bytes), human_size(s.queued_bytes),
                    std::to_string(s.messages), std::to_string(s.errors), std::to_string(s.pauses)});
  print_table(to_, rows);
}

void Output::metrics(std::span<const MetricFamily> families) {
  Json array = Json::array();
  std::vector<std::vector<std::string>> rows = {{"METRIC", "OF", "VALUE"}};
  for (const auto& family : families) {
    Json samples = Json::array();
    for (const auto& sample : family.samples) {
      Json labels = Json::object();
      std::string of;
      for (const auto& label : sample.labels) {
        labels[label.name] = label.value;
        of += (of.empty() ? "" : ", ") + label.name + ' ' + label.value;
      }
      rows.push_back({family.name, of, std::to_string(sample.value)});
      samples.push_back({{"labels", labels}, {"value", sample.value}});
    }
    array.push_back({{"name", family.name},
                     {"kind", family.kind == protocol::MetricKind::gauge ? "gauge" : "counter"},
                     {"unit", family.unit ? Json(*family.unit) : Json(nullptr)},
                     {"help", family.help},
                     {"samples", samples}});
  }
  if (json_)
    to_ << array.dump(2) << '\n';
  else
    print_table(to_, rows);
}

void Output::published(const std::string& name, std::uint64_t sequence, std::uint64_t length) {
  if (json_)
    to_ << Json{{"name", name}, {"sequence", sequence}, {"length", length}}.dump(2) << '\n';
  else
    to_ << "published " << name << ": " << human_size(length) << ", sequence " << sequence << '\n';
}

void Output::shrunk(const std::string& name, std::uint64_t freed) {
  if (json_)
    to_ << Json{{"name", name}, {"freed", freed}}.dump(2) << '\n';
  else
    to_ << "gave back " << human_size(freed) << " of " << name << '\n';
}

void Output::streamed(const std::string& name, std::uint64_t bytes, std::chrono::duration<double> time) {
  const auto seconds = time.count();
  if (json_) {
    to_ << Json({{"name", name}, {"length", bytes}, {"seconds", seconds}}).dump(2) << '\n';
    return;
  }
  to_ << name << ": " << human_size(bytes);
  if (seconds > 0) to_ << ", " << human_size(static_cast<std::uint64_t>(static_cast<double>(bytes) / seconds)) << "/s";
  to_ << '\n';
}

// Whoever reads a pipe wants the line now.
Result<void> Output::end_line() {
  to_ << std::endl;
  if (!to_) return fail_errno(errno, "cannot write to standard output");
  return {};
}

Result<void> Output::event(const WatchEvent& event) {
  if (json_) {
    Json json = {{"event", word(event.kind)}};
    if (event.region) json["region"] = to_json(*event.region);
    if (event.version) json["version"] = *event.version;
    to_ << json.dump();
    return end_line();
  }
  to_ << word(event.kind);
  if (event.region) to_ << ' ' << event.region->name;
  if (event.version) to_ << " version " << *event.version << " sequence " << event.region->sequence;
  return end_line();
}

Result<void> Output::handled(const std::string& command, const std::string& how, int status) {
  if (json_)
    to_ << Json{{"command", command}, {"call", how}, {"status", status}}.dump();
  else
    to_ << command << ' ' << how << (status != 0 ? ", status " + std::to_string(status) : "");
  return end_line();
}

Result<void> Output::message(const Message& message) {
  // The payload is JSON, and printed as it is.
  if (json_)
    to_ << "{\"topic\":" << Json(message.topic).dump() << ",\"payload\":" << message.payload
        << ",\"lost\":" << message.lost << '}';
  else
    to_ << (message.lost > 0 ? "(" + std::to_string(message.lost) + " lost)\n" : "") << message.topic << ' '
        << message.payload;
  return end_line();
}

void report(std::ostream& to, const Error& error, bool json) {
  const auto& rejection = error.rejection;
  if (!json) {
    to << "memioctl: " << error.text() << '\n';
    if (rejection) to << "memioctl: the handler calls it " << rejection->error << ' ' << rejection->details << '\n';
    return;
  }
  Json object = {{"error", error.name()}, {"message", error.text()}};
  if (rejection) {
    object["rejection"] = rejection->error;
    if (!rejection->details.empty()) object["details"] = Json::parse(rejection->details, nullptr, false);
  }
  to << object.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace memio::ctl

// SPDX-License-Identifier: MIT
#include "metrics.h"

#include <unordered_map>

#include "memio/protocol_json.h"

namespace memio::broker {

namespace {

using protocol::MetricFamily;
using protocol::MetricKind;
using protocol::MetricLabel;

MetricFamily family(std::string name, std::string help, MetricKind kind = MetricKind::gauge) {
  MetricFamily made{.name = std::move(name), .kind = kind, .help = std::move(help)};
  for (const char* unit : {"bytes", "seconds"})
    if (made.name.ends_with(std::string("_") + unit)) made.unit = unit;
  return made;
}

void add(MetricFamily& to, std::uint64_t value, std::vector<MetricLabel> labels = {}) {
  to.samples.push_back({.labels = std::move(labels), .value = value});
}

std::uint64_t seconds_of(PublishTimes::Clock::time_point time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

void collect_totals(Broker& broker, std::vector<MetricFamily>& to) {
  const auto totals = broker.totals();
  const auto one = [&](MetricFamily made, std::uint64_t value) {
    add(made, value);
    to.push_back(std::move(made));
  };
  constexpr auto counter = MetricKind::counter;
  one(family("memio_start_time_seconds", "When memiod was started, since 1970."), seconds_of(broker.start_time()));
  one(family("memio_regions", "Regions that have a name."), broker.registry().regions().size());
  one(family("memio_sessions", "Connections."), broker.sessions().size());
  one(family("memio_connections", "Connections so far, refused ones not counted.", counter), totals.sessions);
  one(family("memio_refused_connections", "Connections that were refused.", counter), totals.refused);
  one(family("memio_messages", "Calls so far.", counter), totals.counts.messages);
  one(family("memio_errors", "Calls that failed.", counter), totals.counts.errors);
  one(family("memio_events", "Events that watches told.", counter), totals.counts.events);
  one(family("memio_pauses", "How often a connection was read slower because of a quota.", counter),
      totals.counts.pauses);
  const auto calls = broker.commands().counts();
  one(family("memio_commands", "Commands that somebody handles."), calls.commands);
  one(family("memio_calls_under_way", "Calls of commands that are not answered yet."), calls.calls);
  one(family("memio_calls", "Calls of commands so far.", counter), broker.commands().calls_so_far());
  one(family("memio_listeners", "Connections that listen to topics."), broker.topics().listeners());
  one(family("memio_emits", "Messages that were emitted.", counter), broker.topics().emitted());
  one(family("memio_deliveries", "Calls, answers and messages that were delivered.", counter),
      totals.counts.deliveries);
  one(family("memio_lost_messages", "Messages that were dropped because too many waited for a listener.", counter),
      totals.counts.lost);
}

void collect_users(Broker& broker, std::vector<MetricFamily>& to) {
  struct Measured {
    Resource resource;
    const char* name;
    const char* what;
  };
  constexpr Measured all[] = {
      {Resource::regions, "memio_user_regions", "Regions that were created by the user and have memory"},
      {Resource::bytes, "memio_user_region_bytes", "The size of these"},
      {Resource::handles, "memio_user_handles", "Open handles"},
      {Resource::fds, "memio_user_fds", "Descriptors that were sent and not received"},
      {Resource::queued_bytes, "memio_user_queued_bytes", "Answers and events that were not read"},
      {Resource::connections, "memio_user_connections", "Connections, scoped ones too"},
      {Resource::watches, "memio_user_watches", "Watches"},
      {Resource::commands, "memio_user_commands", "Commands that are handled"},
      {Resource::listens, "memio_user_listens", "Patterns of topics that are listened to"},
      {Resource::calls, "memio_user_calls", "Calls of commands that are not answered yet"},
      {Resource::mail_bytes, "memio_user_mail_bytes", "Calls, answers and messages on their way"}};
  const auto accounts = broker.accounts().all();
  for (const auto& [resource, name, what] : all) {
    auto used = family(name, std::string(what) + ".");
    auto limit = family(std::string("memio_user_limit_") + (name + sizeof "memio_user_" - 1),
                        std::string("The most there may be: ") + name + ".");
    for (const auto& [uid, account] : accounts) {
      add(used, account->used(resource), {{"uid", std::to_string(uid)}});
      add(limit, account->quota().of(resource), {{"uid", std::to_string(uid)}});
    }
    to.push_back(std::move(used));
    to.push_back(std::move(limit));
  }
}

struct Openers {
  std::uint64_t readers = 0;
  std::uint64_t writers = 0;
};

std::unordered_map<const Region*, Openers> count_openers(const Broker& broker) {
  std::unordered_map<const Region*, Openers> openers;
  for (const auto& [session_id, session] : broker.sessions())
    for (const auto& [id, handle] : session->handles())
      ++(handle.access() == Access::read ? openers[&handle.region()].readers : openers[&handle.region()].writers);
  return openers;
}

void collect_regions(Broker& broker, std::vector<MetricFamily>& to) {
  auto openers = count_openers(broker);
  auto& times = broker.publish_times();
  times.ask();
  auto publishes = family("memio_region_publishes", "How often the region was published.", MetricKind::counter);
  auto size = family("memio_region_size_bytes", "The region's size with all slots, touched or not.");
  auto memory = family("memio_region_memory_bytes", "The memory that it takes up.");
  auto payload = family("memio_region_payload_bytes", "The length of its latest payload.");
  auto leases = family("memio_region_leases", "Slots that are leased, each by one handle.");
  auto readers = family("memio_region_readers", "Handles that are open for reading.");
  auto writers = family("memio_region_writers", "Handles that are open for writing.");
  auto last = family("memio_region_last_publish_timestamp_seconds",
                     "When it was last published, since 1970; there only if that was seen.");
  for (const auto& [name, region] : broker.registry().regions()) {
    const auto add_to = [&labelled = name](MetricFamily& made, std::uint64_t value) {
      add(made, value, {{"region", labelled}});
    };
    const auto latest = region->latest();
    add_to(publishes, latest.sequence);
    add_to(size, region->geometry().total_size());
    add_to(memory, region->memory_in_use());
    add_to(payload, latest.length);
    add_to(leases, region->lease_count());
    add_to(readers, openers[region.get()].readers);
    add_to(writers, openers[region.get()].writers);
    if (const auto time = times.of(*region)) add_to(last, seconds_of(*time));
  }
  for (auto* made : {&publishes, &size, &memory, &payload, &leases, &readers, &writers, &last})
    to.push_back(std::move(*made));
}

// In double quotes, or as a help text.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n')
      result += "\\n";
    else if (c == '"' || c == '\\')
      result.append({'\\', c});
    else
      result += c;
  }
  return result;
}

void write_sample(std::string& text, const MetricFamily& of, const protocol::MetricSample& sample) {
  text += of.name + (of.kind == MetricKind::counter ? "_total" : "");
  if (!sample.labels.empty()) {
    text += '{';
    for (const auto& label : sample.labels)
      text += (&label == &sample.labels.front() ? "" : ",") + label.name + "=\"" + escaped(label.value) + '"';
    text += '}';
  }
  text += ' ' + std::to_string(sample.value) + '\n';
}

}  // namespace

std::vector<MetricFamily> collect_metrics(Broker& broker) {
  std::vector<MetricFamily> families;
  collect_totals(broker, families);
  collect_users(broker, families);
  collect_regions(broker, families);
  return families;
}

std::string to_open_metrics(const std::vector<MetricFamily>& families) {
  std::string text;
  for (const auto& each : families) {
    text += "# TYPE " + each.name + ' ' + std::string(protocol::to_string(each.kind)) + '\n';
    if (each.unit) text += "# UNIT " + each.name + ' ' + *each.unit + '\n';
    text += "# HELP " + each.name + ' ' + escaped(each.help) + '\n';
    for (const auto& sample : each.samples) write_sample(text, each, sample);
  }
  return text + "# EOF\n";
}

}  // namespace memio::broker

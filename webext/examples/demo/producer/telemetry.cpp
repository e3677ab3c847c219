// SPDX-License-Identifier: MIT
// The files of /proc stay open and are read again from their beginning: that is what makes them new.
#include "telemetry.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "event_loop.h"

namespace memio::demo {

namespace {

// Takes the next word, separated by blanks or a colon, off `line`; empty at its end.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view blanks = " \t:";
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

double take_number(std::string_view& line) {
  const std::string_view word = take_word(line);
  std::uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return static_cast<double>(number);
}

void skip_words(std::string_view& line, int count) {
  for (int i = 0; i < count; ++i) take_word(line);
}

template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

TelemetryRecord::Core parse_core(std::string_view line) {
  // user nice system idle iowait irq softirq steal; guest time is in user already.
  std::array<double, 8> ticks{};
  TelemetryRecord::Core core;
  for (double& value : ticks) core.total += value = take_number(line);
  core.busy = core.total - ticks[3] - ticks[4];
  return core;
}

// What is behind the disks of /proc/diskstats: leaves out partitions (no entry here) and devices made of other ones or
// of memory, which would count bytes twice or that never reach a disk.
std::set<std::string, std::less<>> list_disks() {
  std::set<std::string, std::less<>> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block", error)) {
    const std::string name = entry.path().filename();
    constexpr std::array<std::string_view, 6> derived{"loop", "ram", "zram", "dm-", "md", "sr"};
    if (std::ranges::none_of(derived, [&](std::string_view prefix) { return name.starts_with(prefix); })) {
      names.insert(name);
    }
  }
  return names;
}

Result<UniqueFd> open_proc(const char* path) {
  UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail_errno(errno, std::string("opening ") + path);
  return file;
}

Result<std::string_view> read_again(const UniqueFd& file, std::string& text) {
  if (text.empty()) text.resize(std::size_t{16} * 1024);
  std::size_t length = 0;
  for (;;) {
    const ssize_t got = ::pread(file.get(), text.data() + length, text.size() - length, static_cast<off_t>(length));
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "reading a file of /proc");
    }
    if (got == 0) return std::string_view(text).substr(0, length);
    length += static_cast<std::size_t>(got);
    if (length == text.size()) text.resize(text.size() * 2);
  }
}

}  // namespace

void parse_stat(std::string_view text, TelemetryRecord& record) {
  std::size_t cores = 0;
  for_each_line(text, [&](std::string_view line) {
    const std::string_view key = take_word(line);
    if (key.starts_with("cpu") && key.size() > 3 && cores < TelemetryRecord::max_cores) {
      record.cores[cores++] = parse_core(line);
    } else if (key == "ctxt") {
      record.context_switches = take_number(line);
    } else if (key == "processes") {
      record.processes_started = take_number(line);
    } else if (key == "procs_running") {
      record.processes_running = take_number(line);
    }
  });
  record.core_count = static_cast<double>(cores);
}

void parse_meminfo(std::string_view text, TelemetryRecord& record) {
  record.memory_cached = record.swap_used = 0;
  for_each_line(text, [&](std::string_view line) {
    const std::string_view key = take_word(line);
    const auto bytes = [&] { return take_number(line) * 1024; };
    if (key == "MemTotal") {
      record.memory_total = bytes();
    } else if (key == "MemAvailable") {
      record.memory_available = bytes();
    } else if (key == "Buffers" || key == "Cached") {
      record.memory_cached += bytes();
    } else if (key == "SwapTotal") {
      record.swap_used += bytes();
    } else if (key == "SwapFree") {
      record.swap_used -= bytes();
    }
  });
}

void parse_network(std::string_view text, TelemetryRecord& record) {
  record.network_received = record.network_sent = 0;
  for_each_line(text, [&](std::string_view line) {
    if (line.find(':') == std::string_view::npos) return;  // the two lines of headings
    if (take_word(line) == "lo") return;
    record.network_received += take_number(line);
    skip_words(line, 7);
    record.network_sent += take_number(line);
  });
}

void parse_disks(std::string_view text, const std::set<std::string, std::less<>>& disks, TelemetryRecord& record) {
  constexpr double sector_size = 512;  // in this file, whatever the disk's own
  record.disk_read = record.disk_written = 0;
  for_each_line(text, [&](std::string_view line) {
    skip_words(line, 2);
    if (!disks.contains(take_word(line))) return;
    skip_words(line, 2);
    record.disk_read += take_number(line) * sector_size;
    skip_words(line, 3);
    record.disk_written += take_number(line) * sector_size;
  });
}

Result<Telemetry> Telemetry::create(Region region) {
  Telemetry telemetry(std::move(region));
  const std::array<std::pair<UniqueFd*, const char*>, 4> files{{{&telemetry.stat_, "/proc/stat"},
                                                                {&telemetry.meminfo_, "/proc/meminfo"},
                                                                {&telemetry.network_, "/proc/net/dev"},
                                                                {&telemetry.disks_, "/proc/diskstats"}}};
  for (const auto& [file, path] : files) {
    auto opened = open_proc(path);
    if (!opened) return fail(opened.error());
    *file = std::move(*opened);
  }
  telemetry.disk_names_ = list_disks();
  telemetry.record_.ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return telemetry;
}

Result<void> Telemetry::publish() {
  const auto read = [this](const UniqueFd& file, auto parse) -> Result<void> {
    const auto text = read_again(file, text_);
    if (!text) return fail(text.error());
    parse(*text);
    return {};
  };
  if (auto done = read(stat_, [&](auto text) { parse_stat(text, record_); }); !done) return done;
  if (auto done = read(meminfo_, [&](auto text) { parse_meminfo(text, record_); }); !done) return done;
  if (auto done = read(network_, [&](auto text) { parse_network(text, record_); }); !done) return done;
  if (auto done = read(disks_, [&](auto text) { parse_disks(text, disk_names_, record_); }); !done) return done;

  record_.count += 1;
  record_.published_ms = wall_clock_ms();
  const auto bytes = std::as_bytes(std::span(&record_, 1)).first(record_.size());
  if (auto written = region_.write(bytes); !written) return fail(written.error());
  return {};
}

}  // namespace memio::demo

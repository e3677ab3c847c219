// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "memio/region.h"
#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::demo {

// The payload of demo/telemetry, as page/telemetry.js reads it: nothing but f64 in the machine's order (little-endian),
// so that the page lays one Float64Array over it. Amounts are counted since boot; the page makes rates of them, over as
// long a time as it likes.
struct TelemetryRecord {
  static constexpr double layout_number = 1;
  static constexpr std::size_t max_cores = 256;

  struct Core {
    double busy = 0;   // ticks
    double total = 0;  // ticks, idle ones too
  };

  double layout = layout_number;
  double published_ms = 0;  // CLOCK_REALTIME
  double count = 0;         // this publish's number
  double core_count = 0;
  double memory_total = 0;  // bytes
  double memory_available = 0;
  double memory_cached = 0;  // page cache and buffers
  double swap_used = 0;
  double network_received = 0;  // bytes, all interfaces but loopback
  double network_sent = 0;
  double disk_read = 0;  // bytes, physical disks
  double disk_written = 0;
  double context_switches = 0;
  double processes_started = 0;
  double processes_running = 0;
  double ticks_per_second = 0;
  std::array<Core, max_cores> cores{};  // only core_count of them are published

  [[nodiscard]] std::size_t size() const noexcept {
    return offsetof(TelemetryRecord, cores) + static_cast<std::size_t>(core_count) * sizeof(Core);
  }
};
static_assert(offsetof(TelemetryRecord, cores) == 16 * sizeof(double));

// Each reads one file of /proc, given as text, into the record.
void parse_stat(std::string_view text, TelemetryRecord& record);
void parse_meminfo(std::string_view text, TelemetryRecord& record);
void parse_network(std::string_view text, TelemetryRecord& record);
void parse_disks(std::string_view text, const std::set<std::string, std::less<>>& disks, TelemetryRecord& record);

// Publishes the machine's state to demo/telemetry each time it is asked to.
class Telemetry {
 public:
  static constexpr const char* region_name = "demo/telemetry";
  static constexpr long interval_ns = 10'000'000;

  // Opens the files of /proc; `region` is open for writing. Error: system.
  static Result<Telemetry> create(Region region);
  // Reads and publishes. Errors: as Region::write, or system.
  Result<void> publish();

 private:
  explicit Telemetry(Region region) : region_(std::move(region)) {}

  Region region_;
  UniqueFd stat_, meminfo_, network_, disks_;
  std::set<std::string, std::less<>> disk_names_;
  TelemetryRecord record_;
  std::string text_;  // kept, so that a hundred reads a second allocate nothing
};

}  // namespace memio::demo

// SPDX-License-Identifier: MIT
#include "report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace memio::demo {

namespace {

using nlohmann::json;

// What is wanted is well below what is usual, so that a busy machine without a graphics card passes: usual are 100, 30
// and 1.
constexpr double least_updates_per_second = 50;
constexpr double least_frames_per_second = 5;
constexpr double most_ready_ms = 5;

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  std::array<char, 256> text{};
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text.data(), text.size(), pattern, arguments);
  va_end(arguments);
  return text.data();
}

double number(const json& report, const char* pointer) {
  const json::json_pointer at(pointer);
  return report.contains(at) && report[at].is_number() ? report[at].get<double>() : 0;
}

std::string text(const json& report, const std::string& pointer) {
  const json::json_pointer at(pointer);
  return report.contains(at) && report[at].is_string() ? report[at].get<std::string>() : std::string();
}

Finding judge_telemetry(const json& report) {
  const double seen = number(report, "/telemetry/updatesPerSecond");
  return {"telemetry", format("%.1f/s published, %.1f/s seen", number(report, "/telemetry/publishesPerSecond"), seen),
          format("at least %.0f/s seen", least_updates_per_second), seen >= least_updates_per_second};
}

Finding judge_latency(const json& report) {
  const double latency = number(report, "/telemetry/latencyMs");
  return {"publish to page", format("%.1f ms, mean of two seconds", latency), "", true};
}

Finding judge_film(const json& report) {
  const double rate = number(report, "/film/framesPerSecond");
  return {"film",
          format("%.1f fps, %.0f x %.0f, %.0f MB/s, %.1f ms to draw", rate, number(report, "/film/width"),
                 number(report, "/film/height"), number(report, "/film/bytesPerSecond") / 1e6,
                 number(report, "/film/drawMs")),
          format("at least %.0f fps", least_frames_per_second), rate >= least_frames_per_second};
}

Finding judge_upload(const json& report, int index, const std::string& expected) {
  const std::string at = "/uploads/" + std::to_string(index);
  const std::string found = text(report, at + "/sha256");
  Finding finding{"upload", "", "", !expected.empty() && found == expected};
  if (const std::string error = text(report, at + "/error"); !error.empty()) {
    finding.measured = error;
  } else {
    finding.measured = format("%s, %.2f MiB in %.0f ms: %.16s...", text(report, at + "/name").c_str(),
                              number(report, (at + "/size").c_str()) / (1024 * 1024),
                              number(report, (at + "/totalMs").c_str()), found.c_str());
  }
  finding.wanted = format("SHA-256 %.16s...", expected.c_str());
  return finding;
}

std::vector<Finding> judge_roads(const json& report) {
  if (const std::string error = text(report, "/roads/error"); !error.empty()) {
    return {{"two roads", error, "both measured", false}};
  }
  const double ready = number(report, "/roads/shared/readyMs");
  const double scheme = number(report, "/roads/scheme/readyMs");
  const bool same = report.contains("/roads/same"_json_pointer) && report["roads"]["same"] == true;
  // The page's clock ticks in milliseconds, so what it calls 0 took less than 1.
  return {{"100 MiB, read()",
           format("%s after the change event; one read() %.1f us",
                  ready < 1 ? "under 1 ms" : format("%.0f ms", ready).c_str(),
                  number(report, "/roads/shared/oneReadMs") * 1000),
           format("under %.0f ms", most_ready_ms), ready < most_ready_ms},
          {"100 MiB, URI scheme", format("%.0f ms", scheme), "measured", scheme > 0},
          {"100 MiB, both", same ? "the same bytes" : "different bytes", "the same bytes", same}};
}

}  // namespace

std::vector<Finding> judge(const json& report, const std::string& file_sha256) {
  std::vector<Finding> findings{judge_telemetry(report), judge_latency(report), judge_film(report),
                                judge_upload(report, 0, text(report, "/uploads/0/expected")),
                                judge_upload(report, 1, file_sha256)};
  std::ranges::move(judge_roads(report), std::back_inserter(findings));
  return findings;
}

void print(const std::vector<Finding>& findings) {
  std::size_t what_width = 0;
  std::size_t measured_width = 0;
  for (const Finding& finding : findings) {
    what_width = std::max(what_width, finding.what.size());
    measured_width = std::max(measured_width, finding.measured.size());
  }
  for (const auto& [what, measured, wanted, passed] : findings) {
    std::printf("%-4s  %-*s  %-*s  %s\n", passed ? "ok" : "FAIL", static_cast<int>(what_width), what.c_str(),
                static_cast<int>(measured_width), measured.c_str(), wanted.c_str());
  }
  std::fflush(stdout);
}

}  // namespace memio::demo

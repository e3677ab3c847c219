// SPDX-License-Identifier: MIT
#include "log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace memio::broker {

namespace {

// systemd says in JOURNAL_STREAM which file standard error was when it started us.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (!stream || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

struct EventKind {
  spdlog::level::level_enum level;
  const char* message_id;
};
// In the order of Event.
constexpr std::array<EventKind, 6> event_kinds = {{
    {spdlog::level::warn, "4909ee84c2aa414694dae4264b3a6725"},
    {spdlog::level::warn, "f070e0fdac804214b6cd7271bedfc946"},
    {spdlog::level::warn, "8e14dd83fda74e60bf991f566754ccf5"},
    {spdlog::level::warn, "d23c8861989b47bf9aade5510dfe3c11"},
    {spdlog::level::info, "1bc2fbe4c3a945aab8a507325ed0c91a"},
    {spdlog::level::err, "6041464954b14eeda1e24868d5029408"},
}};

// Whether the log goes to the journal, which takes fields.
bool logs_to_journal() {
  const auto& sinks = spdlog::default_logger_raw()->sinks();
  return !sinks.empty() && dynamic_cast<spdlog::sinks::systemd_sink_st*>(sinks.front().get());
}

// The priorities of syslog(3), which the journal shares.
int priority(spdlog::level::level_enum level) {
  constexpr int error = 3;
  constexpr int warning = 4;
  constexpr int info = 6;
  if (level == spdlog::level::err) return error;
  return level == spdlog::level::warn ? warning : info;
}

bool send_to_journal(const EventKind& kind, const EventFields& fields, const std::string& message) {
  std::vector<std::string> lines = {"MESSAGE=" + message, "PRIORITY=" + std::to_string(priority(kind.level)),
                                    std::string("MESSAGE_ID=") + kind.message_id, "SYSLOG_IDENTIFIER=memiod"};
  if (!fields.region.empty()) lines.push_back("MEMIO_REGION=" + fields.region);
  if (fields.uid) lines.push_back("MEMIO_UID=" + std::to_string(*fields.uid));
  if (fields.pid) lines.push_back("MEMIO_PID=" + std::to_string(*fields.pid));
  if (fields.session) lines.push_back("MEMIO_SESSION=" + std::to_string(*fields.session));
  std::vector<iovec> parts;
  for (auto& line : lines) parts.push_back({line.data(), line.size()});
  return ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0;
}

}  // namespace

void log_event(Event event, const EventFields& fields, const std::string& message) {
  const auto& kind = event_kinds[static_cast<std::size_t>(event)];
  if (!spdlog::should_log(kind.level)) return;
  if (!logs_to_journal()) return spdlog::log(kind.level, "{}", message);
  // Without a descriptor for the journal's socket: standard error is the journal, too.
  if (!send_to_journal(kind, fields, message)) std::cerr << message << std::endl;
}

void set_up_log(spdlog::level::level_enum level) {
  std::shared_ptr<spdlog::logger> logger;
  if (stderr_is_journal()) {
    logger = spdlog::systemd_logger_st("memiod");
    logger->set_pattern("%v");
  } else {
    logger = spdlog::stderr_color_st("memiod");
    logger->set_pattern("%n: %^%l%$: %v");
  }
  logger->set_level(level);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace memio::broker

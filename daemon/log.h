// SPDX-License-Identifier: MIT
#pragma once

// What an administrator can act on, to the journal if standard error leads there, else to standard error.

#include <spdlog/spdlog.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace memio::broker {

// Called once, before anything is logged.
void set_up_log(spdlog::level::level_enum level);

// What monitors may look for in the journal: each has a MESSAGE_ID, which memiod(8) lists, and says what it is about.
enum class Event : std::uint8_t {
  connection_refused,
  connection_ended,  // by memiod
  quota_passed,
  region_degraded,
  configuration_read,
  configuration_refused,
};
struct EventFields {
  std::string region{};                    // MEMIO_REGION
  std::optional<uid_t> uid{};              // MEMIO_UID
  std::optional<pid_t> pid{};              // MEMIO_PID
  std::optional<std::uint64_t> session{};  // MEMIO_SESSION, as ListSessions has it
};
void log_event(Event event, const EventFields& fields, const std::string& message);

template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::error(format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::warn(format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::info(format, std::forward<Args>(args)...);
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::debug(format, std::forward<Args>(args)...);
}

}  // namespace memio::broker

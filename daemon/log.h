// SPDX-License-Identifier: MIT
#pragma once

// What an administrator can act on, to the journal if standard error leads there, else to standard error.

#include <spdlog/spdlog.h>

#include <string_view>
#include <utility>

namespace memio::broker {

// Called once, before anything is logged.
void set_up_log(spdlog::level::level_enum level);

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

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <ostream>
#include <span>
#include <string>

#include "memio/client.h"

namespace memio::ctl {

// How results are shown: for people, or as JSON (one object or array a command; for `watch` one object a line).
class Output {
 public:
  Output(std::ostream& to, bool json) : to_(to), json_(json) {}

  void region(const RegionInfo& region);
  void regions(std::span<const RegionInfo> regions);
  void state(const RegionState& state);
  void sessions(std::span<const SessionInfo> sessions);
  void metrics(std::span<const MetricFamily> families);
  void text(const std::string& text) { to_ << text; }
  void published(const std::string& name, std::uint64_t sequence, std::uint64_t length);
  void shrunk(const std::string& name, std::uint64_t freed);
  // A stream's bytes, and how long they took.
  void streamed(const std::string& name, std::uint64_t bytes, std::chrono::duration<double> time);
  // These come one by one, for as long as anybody reads them. Error: system, if they cannot be written.
  Result<void> event(const WatchEvent& event);
  Result<void> handled(const std::string& command, const std::string& how, int status);
  Result<void> message(const Message& message);

 private:
  Result<void> end_line();

  std::ostream& to_;
  bool json_;
};

// An error, as JSON or for people, on standard error's stream.
void report(std::ostream& to, const Error& error, bool json);

// "1.5 MiB": at most four characters of number.
[[nodiscard]] std::string human_size(std::uint64_t bytes);

}  // namespace memio::ctl

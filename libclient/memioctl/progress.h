// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace memio::ctl {

// How far a transfer is and how fast, in one line on standard error, if that is a terminal; otherwise nothing at all.
class Progress {
 public:
  // `total`: bytes in all, if that is known.
  Progress(std::string name, std::optional<std::uint64_t> total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Takes the line away.
  ~Progress();

  // A few times a second, however often it is called.
  void show(std::uint64_t done);
  // Stops the clock and takes the line away.
  void end();
  // From the first bytes to the end, or to now.
  [[nodiscard]] std::chrono::duration<double> time() const;

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] std::string line(std::uint64_t done) const;
  void clear();

  std::string name_;
  std::optional<std::uint64_t> total_;
  bool terminal_;
  bool colours_;
  bool shown_ = false;
  std::optional<Clock::time_point> begin_;
  std::optional<Clock::time_point> end_;
  Clock::time_point last_shown_{};
};

}  // namespace memio::ctl

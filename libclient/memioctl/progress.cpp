// SPDX-License-Identifier: MIT
#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "output.h"

namespace memio::ctl {

namespace {

constexpr std::chrono::milliseconds between_lines{100};
constexpr std::size_t bar_width = 30;

std::string bar(double part, bool colours) {
  const auto full = static_cast<std::size_t>(part * static_cast<double>(bar_width));
  std::string text = colours ? "\033[32m" : "";
  text.append(full, '=');
  if (colours) text += "\033[2m";
  text.append(bar_width - full, '-');
  if (colours) text += "\033[0m";
  return text;
}

}  // namespace

Progress::Progress(std::string name, std::optional<std::uint64_t> total)
    : name_(std::move(name)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      colours_(terminal_ && !std::getenv("NO_COLOR")) {}

Progress::~Progress() { clear(); }

void Progress::show(std::uint64_t done) {
  const auto now = Clock::now();
  if (!begin_) begin_ = now;
  if (!terminal_ || now - last_shown_ < between_lines) return;
  last_shown_ = now;
  shown_ = true;
  std::cerr << "\r\033[K" << line(done) << std::flush;
}

std::string Progress::line(std::uint64_t done) const {
  auto text = name_ + "  ";
  // The total is a claim of the other side's.
  if (total_ && *total_ > 0 && done <= *total_) {
    const auto part = static_cast<double>(done) / static_cast<double>(*total_);
    text += bar(part, colours_) + "  " + std::to_string(static_cast<int>(part * 100)) + " %  ";
  }
  text += human_size(done);
  if (total_) text += " of " + human_size(*total_);
  const auto seconds = time().count();
  if (seconds > 0) text += "  " + human_size(static_cast<std::uint64_t>(static_cast<double>(done) / seconds)) + "/s";
  return text;
}

void Progress::end() {
  if (!end_) end_ = Clock::now();
  clear();
}

void Progress::clear() {
  if (shown_) std::cerr << "\r\033[K" << std::flush;
  shown_ = false;
}

std::chrono::duration<double> Progress::time() const {
  if (!begin_) return std::chrono::duration<double>(0);
  return end_.value_or(Clock::now()) - *begin_;
}

}  // namespace memio::ctl

// SPDX-License-Identifier: MIT
#include "support/process_use.h"

#include <filesystem>
#include <fstream>
#include <string>

namespace memio::test {

ProcessUse use_of(pid_t pid) {
  const auto proc = "/proc/" + std::to_string(pid);
  ProcessUse use;
  for ([[maybe_unused]] const auto& fd : std::filesystem::directory_iterator(proc + "/fd")) ++use.descriptors;
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) ++use.mappings;
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);) {
    const auto bytes = [&] { return std::stoull(line.substr(line.find(':') + 1)) * 1024; };
    if (line.starts_with("VmRSS:")) use.resident = bytes();
    if (line.starts_with("RssAnon:") || line.starts_with("RssFile:")) use.own += bytes();
  }
  return use;
}

}  // namespace memio::test

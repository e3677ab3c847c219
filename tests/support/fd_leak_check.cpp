// SPDX-License-Identifier: MIT
#include "support/fd_leak_check.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace memio::test {

std::map<int, std::string> open_fds() {
  std::map<int, std::string> fds;
  DIR* directory = ::opendir("/proc/self/fd");
  if (!directory) return fds;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd == ::dirfd(directory)) continue;
    std::array<char, 256> target{};
    const auto length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    fds.emplace(fd, std::string(target.data(), length > 0 ? static_cast<std::size_t>(length) : 0));
  }
  ::closedir(directory);
  return fds;
}

void FdLeakCheck::OnTestStart(const testing::TestInfo&) { before_ = open_fds(); }

void FdLeakCheck::OnTestEnd(const testing::TestInfo&) {
  for (const auto& [fd, target] : open_fds())
    if (!before_.contains(fd)) ADD_FAILURE() << "the test left descriptor " << fd << " open: " << target;
}

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#include "file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace memio::ctl {

Result<UniqueFd> open_file(const std::string& path, int flags) {
  const bool standard = path == "-";
  const int standard_fd = (flags & O_ACCMODE) == O_RDONLY ? STDIN_FILENO : STDOUT_FILENO;
  UniqueFd fd(standard ? ::fcntl(standard_fd, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), flags | O_CLOEXEC, 0666));
  if (!fd.valid()) return fail_errno(errno, "cannot open " + path);
  return fd;
}

Result<std::size_t> read_some(int fd, std::span<std::byte> to, const std::string& path) {
  for (;;) {
    const ssize_t n = ::read(fd, to.data(), to.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return fail_errno(errno, "cannot read " + path);
  }
}

Result<std::size_t> read_full(int fd, std::span<std::byte> to, const std::string& path) {
  std::size_t done = 0;
  while (done < to.size()) {
    auto n = read_some(fd, to.subspan(done), path);
    if (!n) return n;
    if (*n == 0) break;
    done += *n;
  }
  return done;
}

Result<void> write_full(int fd, std::span<const std::byte> from, const std::string& path) {
  while (!from.empty()) {
    const ssize_t n = ::write(fd, from.data(), from.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "cannot write " + path);
    from = from.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> close_file(UniqueFd file, const std::string& path) {
  if (!file.close() && errno != EINTR) return fail_errno(errno, "cannot write " + path);
  return {};
}

}  // namespace memio::ctl

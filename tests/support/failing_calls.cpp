// SPDX-License-Identifier: MIT
// Preloaded into memiod: lets calls to the system fail for lack of memory, descriptors or room. Only those that can.
#include "support/failing_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

memio::test::Faults* map_faults() {
  const char* path = std::getenv("MEMIO_FAULTS");
  const int fd = path ? next<int(const char*, int, ...)>("open")(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) std::abort();
  void* data = next<void*(void*, size_t, int, int, int, off_t)>("mmap")(nullptr, sizeof(memio::test::Faults),
                                                                        PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return static_cast<memio::test::Faults*>(data);
}

memio::test::Faults& faults_of_test() {
  static auto* faults = map_faults();
  return *faults;
}

// Whether this call is the one.
bool fails(const char* name) {
  auto* faults = &faults_of_test();
  const int process = faults->process;
  if (process != 0 && (process > 0) != (std::abs(process) == ::getpid())) return false;
  if (faults->countdown == 0 || --faults->countdown != 0) return false;
  std::strncpy(faults->failed.data(), name, faults->failed.size() - 1);
  errno = faults->error;
  return true;
}

constexpr int peer_pidfd = 77;  // SO_PEERPIDFD, which Debian 12 has not heard of

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))
#define FORWARD(result, name, parameters, arguments, condition) \
  EXPORTED result name parameters {                             \
    if ((condition) && fails(#name)) return result(-1);         \
    return next<result parameters>(#name) arguments;            \
  }

FORWARD(int, memfd_create, (const char* name, unsigned flags) noexcept, (name, flags), true)
FORWARD(int, ftruncate, (int fd, off_t size) noexcept, (fd, size), true)
FORWARD(int, eventfd, (unsigned count, int flags) noexcept, (count, flags), true)
FORWARD(ssize_t, pwrite, (int fd, const void* from, size_t size, off_t offset), (fd, from, size, offset), true)
FORWARD(int, socketpair, (int domain, int type, int protocol, int* fds) noexcept, (domain, type, protocol, fds), true)
FORWARD(int, accept4, (int fd, sockaddr* address, socklen_t* size, int flags), (fd, address, size, flags), true)
FORWARD(int, socket, (int domain, int type, int protocol) noexcept, (domain, type, protocol), true)
FORWARD(int, timerfd_create, (clockid_t clock, int flags) noexcept, (clock, flags), true)
FORWARD(int, signalfd, (int fd, const sigset_t* signals, int flags) noexcept, (fd, signals, flags), fd < 0)
FORWARD(int, epoll_create1, (int flags) noexcept, (flags), true)
// These need no descriptor and no room on a disk.
FORWARD(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags),
        faults_of_test().error == ENOMEM)
FORWARD(int, poll, (pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), faults_of_test().error == ENOMEM)
FORWARD(ssize_t, readlink, (const char* path, char* to, size_t size) noexcept, (path, to, size),
        faults_of_test().error == ENOMEM)
// What makes a descriptor of it.
FORWARD(int, getsockopt, (int fd, int level, int option, void* value, socklen_t* size) noexcept,
        (fd, level, option, value, size), level == SOL_SOCKET && option == peer_pidfd)
FORWARD(int, epoll_ctl, (int epoll, int what, int fd, epoll_event* event) noexcept, (epoll, what, fd, event),
        what == EPOLL_CTL_ADD)

// Without room for descriptors it goes well, and says that it had none for those that came.
EXPORTED ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const auto original = next<ssize_t(int, msghdr*, int)>("recvmsg");
  const int error = faults_of_test().error;
  if (error == ENOMEM && fails("recvmsg")) return -1;
  const auto n = original(fd, message, flags);
  const auto* control = n < 0 ? nullptr : CMSG_FIRSTHDR(message);
  const bool has_fds = control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS;
  if (!has_fds || error != EMFILE || !fails("recvmsg")) return n;
  for (auto at = CMSG_LEN(0); at < control->cmsg_len; at += sizeof(int)) {
    int received = -1;
    std::memcpy(&received, reinterpret_cast<const unsigned char*>(control) + at, sizeof received);
    ::close(received);
  }
  message->msg_controllen = 0;
  message->msg_flags |= MSG_CTRUNC;
  return n;
}

// It returns the error.
EXPORTED int posix_fallocate(int fd, off_t offset, off_t size) {
  if (fails("posix_fallocate")) return errno;
  return next<int(int, off_t, off_t)>("posix_fallocate")(fd, offset, size);
}

EXPORTED long syscall(long number, ...) noexcept {
  va_list rest;
  va_start(rest, number);
  std::array<long, 6> arguments;
  for (auto& argument : arguments) argument = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_pidfd_open && fails("pidfd_open")) return -1;
  return next<long(long, ...)>("syscall")(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                                          arguments[5]);
}

EXPORTED void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (fd >= 0 && (flags & MAP_SHARED) != 0 && fails("mmap")) return MAP_FAILED;
  return next<void*(void*, size_t, int, int, int, off_t)>("mmap")(at, size, protection, flags, fd, offset);
}

EXPORTED int fcntl(int fd, int what, ...) {
  va_list rest;
  va_start(rest, what);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  if ((what == F_DUPFD_CLOEXEC || what == F_ADD_SEALS) && fails("fcntl")) return -1;
  return next<int(int, int, ...)>("fcntl")(fd, what, argument);
}

// Only what is opened again, and the configuration.
EXPORTED int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = va_arg(rest, unsigned);
  va_end(rest);
  const bool counts = std::strncmp(path, "/proc/self/fd/", 14) == 0 || std::strstr(path, "memiod.conf");
  if (counts && fails("open")) return -1;
  return next<int(const char*, int, ...)>("open")(path, flags, mode);
}

// Only directories.
EXPORTED int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = va_arg(rest, unsigned);
  va_end(rest);
  if ((flags & O_DIRECTORY) != 0 && fails("openat")) return -1;
  return next<int(int, const char*, int, ...)>("openat")(directory, path, flags, mode);
}

EXPORTED DIR* fdopendir(int fd) {
  if (fails("fdopendir")) return nullptr;
  return next<DIR*(int)>("fdopendir")(fd);
}

// SPDX-License-Identifier: MIT
#include "listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

#include "memio/socket_path.h"

namespace memio::broker {

namespace {

constexpr int backlog = 128;

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

Result<UniqueFd> make_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail_errno(errno, "creating a socket");
  return socket;
}

// The name of a process, as ps(1) shows it; empty if it is not to be had.
std::string process_name(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

// Who listens, for people: whoever called listen(2), which under socket activation is systemd.
Error taken_by_listener(int connected, const std::string& path) {
  ucred listener{};
  socklen_t size = sizeof listener;
  if (::getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &listener, &size) != 0) listener.pid = 0;
  const auto name = process_name(listener.pid);
  const auto who = " (process " + std::to_string(listener.pid) + ") listens at " + path;
  if (name == "memiod")
    return {Errc::system, EADDRINUSE, "another memiod" + who + "; take it over with --takeover, or end it"};
  return {Errc::system, EADDRINUSE,
          (name.empty() ? "another program" : name) + who + "; end it, or choose another path with --socket"};
}

// What is at a path where no socket can be made; nothing if it is a socket that nobody listens at any more.
std::optional<Error> look_at(const sockaddr_un& address, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))
    return Error{Errc::system, EADDRINUSE,
                 path + " is no socket; remove what is there, or choose another path with --socket"};
  auto probe = make_socket();
  if (!probe) return std::move(probe.error());
  if (::connect(probe->get(), generic(address), sizeof address) == 0) return taken_by_listener(probe->get(), path);
  switch (errno) {
    case ECONNREFUSED: return std::nullopt;
    case EAGAIN:
      return Error{Errc::system, EADDRINUSE,
                   "a program listens at " + path + ", but does not take connections; end it, or choose another path"};
    case EPROTOTYPE:
      return Error{Errc::system, EADDRINUSE,
                   path + " is a socket of another kind; end the program that has it, or choose another path"};
    default: return Error{Errc::system, errno, "looking who listens at " + path};
  }
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& path, bool make_directory, mode_t mode) {
  const auto address = socket_address(path);
  if (!address) return fail(address.error());
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (make_directory && !parent.empty() && ::mkdir(parent.c_str(), S_IRWXU) != 0 && errno != EEXIST)
    return fail_errno(errno, "creating the directory " + parent);
  auto socket = make_socket();
  if (!socket) return socket;
  // The file is born with the mode that it is to have.
  const mode_t old_mask = ::umask((S_IRWXU | S_IRWXG | S_IRWXO) & ~mode);
  int bound = ::bind(socket->get(), generic(*address), sizeof *address);
  std::optional<Error> taken;
  if (bound != 0 && errno == EADDRINUSE) {
    taken = look_at(*address, path);
    if (!taken && ::unlink(path.c_str()) == 0) bound = ::bind(socket->get(), generic(*address), sizeof *address);
  }
  const int error_number = errno;
  ::umask(old_mask);
  if (taken) return fail(std::move(*taken));
  if (bound != 0) return fail_errno(error_number, "creating the socket " + path);
  if (::listen(socket->get(), backlog) != 0) return fail_errno(errno, "listening at " + path);
  return socket;
}

}  // namespace memio::broker

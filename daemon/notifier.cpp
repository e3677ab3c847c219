// SPDX-License-Identifier: MIT
#include "notifier.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "log.h"
#include "memio/socket_path.h"

namespace memio::broker {

namespace {

constexpr std::chrono::milliseconds retry_interval{100};

// The message of sendmsg(2), with descriptors if there are any.
class Datagram {
 public:
  Datagram(const std::string& text, const std::vector<int>& fds) : control_(CMSG_SPACE(fds.size() * sizeof(int))) {
    text_.iov_base = const_cast<char*>(text.data());
    text_.iov_len = text.size();
    header_.msg_iov = &text_;
    header_.msg_iovlen = 1;
    if (fds.empty()) return;
    header_.msg_control = control_.data();
    header_.msg_controllen = control_.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header_);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;
  [[nodiscard]] const msghdr* get() const noexcept { return &header_; }

 private:
  std::vector<char> control_;
  iovec text_{};
  msghdr header_{};
};

}  // namespace

Notifier::Notifier(EventLoop& loop) : loop_(loop) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || !socket_address(path)) return;
  path_ = path;
  auto retry = loop_.add_timer([this] { flush(); });
  auto watchdog = loop_.add_timer([this] { answer_watchdog(); });
  if (!retry || !watchdog) {
    log_warning("there is no timer with which to tell the service manager how it goes");
    return;
  }
  retry_timer_ = std::move(*retry);
  watchdog_timer_ = std::move(*watchdog);
  std::uint64_t interval = 0;
  if (::sd_watchdog_enabled(0, &interval) <= 0) return;
  // Twice as often as asked for, as sd_watchdog_enabled(3) advises.
  watchdog_interval_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::microseconds(interval / 2));
  answer_watchdog();
}

void Notifier::answer_watchdog() {
  replace_or_add(Kind::watchdog, "WATCHDOG=1");
  watchdog_timer_.start_timer(watchdog_interval_);
}

void Notifier::tell(std::string lines) { add({Kind::lines, std::move(lines)}); }

void Notifier::tell_status(const std::string& status) { replace_or_add(Kind::status, "STATUS=" + status); }

void Notifier::store(const std::string& name, std::vector<int> fds) {
  // FDPOLL=0: the manager is not to drop a doorbell because somebody has filled it.
  add({Kind::store, "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name, std::move(fds), name});
}

void Notifier::forget(const std::string& name) {
  const auto found = waiting_stores_.find(name);
  if (found == waiting_stores_.end()) return tell("FDSTOREREMOVE=1\nFDNAME=" + name);
  waiting_.erase(found->second);
  waiting_stores_.erase(found);
}

void Notifier::replace_or_add(Kind kind, std::string text) {
  const auto found = std::ranges::find(waiting_, kind, &Message::kind);
  if (found == waiting_.end()) return add({kind, std::move(text)});
  found->text = std::move(text);
}

void Notifier::add(Message message) {
  if (path_.empty()) return;
  waiting_.push_back(std::move(message));
  if (waiting_.back().kind == Kind::store)
    waiting_stores_.insert_or_assign(waiting_.back().name, std::prev(waiting_.end()));
  if (waiting_.size() == 1) flush();
}

void Notifier::flush() {
  while (!waiting_.empty()) {
    const auto& message = waiting_.front();
    if (send(message) == Sent::later) return;
    if (message.kind == Kind::store) waiting_stores_.erase(message.name);
    waiting_.pop_front();
  }
  writable_.reset();
}

Notifier::Sent Notifier::send(const Message& message) {
  if (!socket_.valid())
    if (const auto connected = connect(); connected != Sent::yes) return connected;
  const auto sent = send_once(message);
  if (sent != Sent::never) return sent;
  // A manager that was started anew has a new socket at the same place.
  if (const auto connected = connect(); connected != Sent::yes) return connected;
  return send_once(message);
}

Notifier::Sent Notifier::send_once(const Message& message) {
  const Datagram datagram(message.text, message.fds);
  if (::sendmsg(socket_.get(), datagram.get(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::yes;
  switch (errno) {
    case EAGAIN: return wait_for_room();
    // Too much is under way in the system: nothing tells when there is room again.
    case ETOOMANYREFS:
    case ENOBUFS:
    case ENOMEM: retry_timer_.start_timer(retry_interval); return Sent::later;
    default: return Sent::never;
  }
}

Notifier::Sent Notifier::wait_for_room() {
  if (writable_) return Sent::later;
  auto writable = loop_.add_io(socket_.get(), EPOLLOUT, [this](std::uint32_t) { flush(); });
  if (writable)
    writable_ = std::move(*writable);
  else
    retry_timer_.start_timer(retry_interval);
  return Sent::later;
}

Notifier::Sent Notifier::connect() {
  auto address = socket_address(path_);
  if (!address) return Sent::never;
  if (path_.front() == '@') address->sun_path[0] = '\0';  // an abstract address: its length tells where it ends
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) {  // nothing is wrong with the manager
    retry_timer_.start_timer(retry_interval);
    return Sent::later;
  }
  writable_.reset();
  socket_ = std::move(socket);
  return ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&*address), length) == 0 ? Sent::yes : Sent::never;
}

}  // namespace memio::broker

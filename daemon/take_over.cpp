// SPDX-License-Identifier: MIT
#include "take_over.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "ledger.h"
#include "memio/channel.h"
#include "memio/message.h"
#include "memio/protocol_json.h"
#include "memio/socket_path.h"

namespace memio::broker {

namespace {

using Clock = std::chrono::steady_clock;
using protocol::TakeOverParameters;
using protocol::TakeOverReply;

constexpr const char* socket_name = "socket";
constexpr const char* ledger_name = "ledger";
constexpr std::chrono::seconds longest{10};

// A channel that waits, but not for ever.
class Talk {
 public:
  explicit Talk(UniqueFd socket) : channel_(std::move(socket)) {}

  Result<void> say(const std::string& text, const std::vector<int>& fds = {}) {
    std::vector<UniqueFd> copies;
    copies.reserve(fds.size());
    for (const int fd : fds) copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!std::ranges::all_of(copies, &UniqueFd::valid)) return fail_errno(errno, "handing over a file descriptor");
    if (auto queued = channel_.send(text, std::move(copies)); !queued) return queued;
    for (;;) {
      if (auto flushed = channel_.flush(); !flushed) return flushed;
      if (!channel_.wants_write()) return {};
      if (auto ready = wait_for(POLLOUT); !ready) return ready;
    }
  }

  Result<Frame> hear() {
    for (;;) {
      if (auto frame = channel_.next()) return std::move(*frame);
      if (auto ready = wait_for(POLLIN); !ready) return fail(std::move(ready.error()));
      auto input = channel_.receive();
      if (!input) return fail(std::move(input.error()));
      if (*input == Channel::Input::end) return fail(Errc::disconnected, "the other memiod has closed the connection");
    }
  }

 private:
  [[nodiscard]] Result<void> wait_for(short events) const {
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until_ - Clock::now()).count();
      pollfd wanted{channel_.fd(), events, 0};
      const int ready = left > 0 ? ::poll(&wanted, 1, static_cast<int>(left)) : 0;
      if (ready > 0) return {};
      if (ready == 0)
        return fail(Errc::timed_out, "the other memiod took more than " + std::to_string(longest.count()) + " s");
      // After the commit it is too late to give up for a lack that passes.
      if (errno != ENOMEM && errno != EINTR) return fail_errno(errno, "waiting for the other memiod");
    }
  }

  Channel channel_;
  Clock::time_point until_ = Clock::now() + longest;
};

std::string call(bool commit) {
  TakeOverParameters parameters{.version = hand_over_version};
  if (commit) parameters.commit = true;
  return encode(
      WrittenCall{.method = protocol::take_over_method, .parameters = protocol::to_text(parameters), .more = !commit});
}

std::string answer(std::optional<std::string> name, std::size_t fds) {
  TakeOverReply reply{.version = hand_over_version, .name = std::move(name)};
  for (std::size_t i = 0; i < fds; ++i) reply.file_descriptors.push_back(i);
  return encode(WrittenReply{.parameters = protocol::to_text(reply), .continues = reply.name.has_value()});
}

Result<UniqueFd> connect_to(const std::string& path) {
  const auto address = socket_address(path);
  if (!address) return fail(address.error());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail_errno(errno, "creating a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return fail_errno(errno, "there is no memiod to take over at " + path);
  return socket;
}

// What one answer brought. False if it was the last.
Result<bool> take(Frame frame, PassedFds& passed) {
  auto reply = decode_reply(frame.text);
  if (!reply) return fail(std::move(reply.error()));
  if (!reply->error.empty()) return fail(to_error(*reply));
  const auto parameters = protocol::parse<TakeOverReply>(reply->parameters);
  if (!parameters) return fail(parameters.error());
  if (!parameters->name) return false;
  if (frame.fds.size() != parameters->file_descriptors.size())
    return fail(Errc::protocol_violation, "descriptors of " + *parameters->name + " did not arrive");
  auto& place = *parameters->name == socket_name ? passed.sockets : passed.stored[*parameters->name];
  std::ranges::move(frame.fds, std::back_inserter(place));
  return true;
}

// Whether this memiod can go on with what the other has. Before it commits, because the other then ends.
Result<void> check(const PassedFds& passed) {
  const auto ledger = passed.stored.find(ledger_name);
  if (ledger == passed.stored.end() || passed.sockets.empty())
    return fail(Errc::protocol_violation, "the other memiod has handed over no ledger or no socket");
  auto read = Ledger::read(UniqueFd(::fcntl(ledger->second.front().get(), F_DUPFD_CLOEXEC, 0)));
  if (!read) return fail(std::move(read.error()));
  return {};
}

}  // namespace

Result<void> hand_over(int socket, const Contents& contents) {
  Talk talk(UniqueFd(::fcntl(socket, F_DUPFD_CLOEXEC, 0)));
  for (const auto& [name, fds] : contents)
    if (auto said = talk.say(answer(name, fds.size()), fds); !said) return said;
  if (auto said = talk.say(answer(std::nullopt, 0)); !said) return said;
  auto frame = talk.hear();
  if (!frame) return fail(std::move(frame.error()));
  const auto committed = decode_call(frame->text);
  if (!committed || committed->method != protocol::take_over_method || !committed->parameters.value("commit", false))
    return fail(Errc::protocol_violation, "the other memiod did not commit");
  // Whatever becomes of this last answer: the other has said that it goes on.
  [[maybe_unused]] const auto said = talk.say(answer(std::nullopt, 0));
  return {};
}

Result<PassedFds> take_over(const std::string& path) {
  auto socket = connect_to(path);
  if (!socket) return fail(std::move(socket.error()));
  Talk talk(std::move(*socket));
  if (auto said = talk.say(call(false)); !said) return fail(std::move(said.error()));
  PassedFds passed;
  for (bool more = true; more;) {
    auto frame = talk.hear();
    if (!frame) return fail(std::move(frame.error()));
    auto taken = take(std::move(*frame), passed);
    if (!taken) return fail(std::move(taken.error()));
    more = *taken;
  }
  if (auto checked = check(passed); !checked) return fail(std::move(checked.error()));
  if (auto said = talk.say(call(true)); !said) return fail(std::move(said.error()));
  auto last = talk.hear();
  if (!last) return fail(std::move(last.error()));
  return passed;
}

}  // namespace memio::broker

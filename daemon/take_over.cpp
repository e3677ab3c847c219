// SPDX-License-Identifier: MIT
#include "take_over.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "memio/message.h"
#include "memio/protocol_json.h"
#include "memio/socket_path.h"
#include "store.h"

namespace memio::broker {

namespace {

using protocol::TakeOverParameters;
using protocol::TakeOverReply;

constexpr const char* socket_name = "socket";

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
  const auto parameters = protocol::parse_reply<TakeOverReply>(reply->parameters);
  if (!parameters) return fail(parameters.error());
  if (!parameters->name) return false;
  if (frame.fds.size() != parameters->file_descriptors.size())
    return fail(Errc::protocol_violation, "descriptors of " + *parameters->name + " did not arrive");
  auto& place = *parameters->name == socket_name ? passed.sockets : passed.stored[*parameters->name];
  std::ranges::move(frame.fds, std::back_inserter(place));
  return true;
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

Result<Predecessor> Predecessor::ask(const std::string& path) {
  auto socket = connect_to(path);
  if (!socket) return fail(std::move(socket.error()));
  Predecessor other(std::move(*socket));
  if (auto said = other.talk_.say(call(false)); !said) return fail(std::move(said.error()));
  for (bool more = true; more;) {
    auto frame = other.talk_.hear();
    if (!frame) return fail(std::move(frame.error()));
    auto taken = take(std::move(*frame), other.passed_);
    if (!taken) return fail(std::move(taken.error()));
    more = *taken;
  }
  if (!other.passed_.stored.contains(Store::ledger_name) || other.passed_.sockets.empty())
    return fail(Errc::protocol_violation, "the other memiod has handed over no ledger or no socket");
  return other;
}

Result<void> Predecessor::commit() {
  if (auto said = talk_.say(call(true)); !said) return said;
  talk_.be_patient();  // only the other can say now who goes on
  auto last = talk_.hear();
  if (!last) return fail(std::move(last.error()));
  return {};
}

}  // namespace memio::broker

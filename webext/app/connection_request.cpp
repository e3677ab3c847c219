// SPDX-License-Identifier: MIT
#include "connection_request.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "../common/fd_source.h"
#include "memio/channel.h"
#include "memio/message.h"
#include "memio/protocol_json.h"
#include "memio/socket_path.h"

namespace memio::webext {

namespace {

using Done = std::function<void(Result<UniqueFd>)>;

Result<UniqueFd> connect_without_waiting(const std::string& path) {
  const auto address = socket_address(path);
  if (!address) return fail(Errc::disconnected, address.error().message);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail_errno(errno, "creating a socket to memiod");
  // On a Unix socket this succeeds or fails at once.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return fail(Errc::disconnected, "memiod cannot be reached at " + path + ": " + std::strerror(errno) +
                                        " (is it running? try: systemctl --user start memiod.socket)");
  return socket;
}

// One call on a connection of its own. Owns itself from start() until `done_` has been called.
class Request {
 public:
  Request(UniqueFd socket, unsigned seconds, Done done)
      : channel_(std::move(socket)), seconds_(seconds), done_(std::move(done)) {}
  ~Request() {
    if (timer_ != 0) g_source_remove(timer_);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  static void start(std::unique_ptr<Request> request, std::vector<protocol::Grant> grants) {
    if (auto sent = request->send(std::move(grants)); !sent) {
      request->done_(fail(std::move(sent.error())));
      return;
    }
    Request* self = request.release();
    self->source_ = FdSource(self->channel_.fd(), [self] { self->on_readable(); });
    self->timer_ = g_timeout_add_seconds(
        self->seconds_,
        [](gpointer data) -> gboolean {
          auto* late = static_cast<Request*>(data);
          late->timer_ = 0;
          late->finish(fail(Errc::timed_out, "memiod has not answered within " + std::to_string(late->seconds_) +
                                                 " seconds; is it stopped?"));
          return G_SOURCE_REMOVE;
        },
        self);
  }

 private:
  Result<void> send(std::vector<protocol::Grant> grants) {
    const WrittenCall call{.method = protocol::open_connection_method,
                           .parameters = protocol::to_text(protocol::OpenConnectionParameters{std::move(grants)})};
    if (auto sent = channel_.send(encode(call)); !sent) return sent;
    if (auto flushed = channel_.flush(); !flushed) return flushed;
    // A new socket has room for some hundred kilobytes, and memiod takes no longer message.
    if (channel_.wants_write()) return fail(Errc::message_too_large, "this page has more grants than fit a message");
    return {};
  }

  void on_readable() {
    auto input = channel_.receive();
    if (!input) return finish(fail(std::move(input.error())));
    if (auto frame = channel_.next()) return finish(read(std::move(*frame)));
    if (*input == Channel::Input::end)
      finish(fail(Errc::disconnected, "memiod closed the connection without an answer"));
  }

  static Result<UniqueFd> read(Frame frame) {
    const auto reply = decode_reply(frame.text);
    if (!reply) return fail(reply.error());
    if (!reply->error.empty()) return fail(to_error(*reply));
    const auto parameters = protocol::parse_reply<protocol::OpenConnectionReply>(reply->parameters);
    if (!parameters || parameters->connection_file_descriptor >= frame.fds.size())
      return fail(Errc::protocol_violation, "memiod answered without a connection");
    return std::move(frame.fds[parameters->connection_file_descriptor]);
  }

  void finish(Result<UniqueFd> result) {
    const std::unique_ptr<Request> self(this);
    done_(std::move(result));
  }

  Channel channel_;
  FdSource source_;  // after channel_, whose descriptor it borrows
  guint timer_ = 0;
  unsigned seconds_;
  Done done_;
};

}  // namespace

void request_connection(const std::string& socket_path, std::vector<protocol::Grant> grants, unsigned seconds,
                        Done done) {
  auto socket = connect_without_waiting(socket_path);
  if (!socket) {
    done(fail(std::move(socket.error())));
    return;
  }
  Request::start(std::make_unique<Request>(std::move(*socket), seconds, std::move(done)), std::move(grants));
}

}  // namespace memio::webext

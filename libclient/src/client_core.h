// SPDX-License-Identifier: MIT
#pragma once

// The one epoll behind a Client, and what happens when it is readable.
//
// Four kinds of descriptor are in it: the sockets (of the Client, of its Watchers and of its Mail), level-triggered;
// the doorbells of subscribed regions, by edge; `again_`, an eventfd that is kept readable while dispatch() has left
// something undone, so that a loop around us calls it again; and `retry_timer_`, which says when to look for memiod
// again, or to ask it again for what it could not give.
//
// What is to be told waits in `ready_`, whose capacity is reserved when a source is added: telling allocates nothing.

#include <sys/epoll.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "memio/channel.h"
#include "memio/client.h"
#include "memio/message.h"
#include "memio/protocol_json.h"
#include "open_region.h"
#include "subscriber.h"

namespace memio::detail {

// memiod's answers can be long: a list of all regions.
inline constexpr Channel::Limits client_limits{
    .message = std::size_t{64} << 20, .queued = std::size_t{16} << 20, .fds = 16};

class Mail;
struct MailSource;

// Descriptors came that this process has no room for.
tl::unexpected<Error> no_room_for_fds();

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  // A reply as it came: its parameters and descriptors, or the error.
  struct Answer {
    Json parameters;
    std::vector<UniqueFd> fds;
    bool fds_lost = false;  // as Frame's
    // The descriptor that is the whole of an answer. Errors: out_of_resources, protocol_violation.
    Result<UniqueFd> take_fd(std::uint64_t place);
  };
  using OnAnswer = std::function<void(Result<Answer>)>;

  // `path` is where to look for memiod when it has gone; empty if that is not known.
  static Result<std::shared_ptr<ClientCore>> make(UniqueFd socket, std::string path);
  ClientCore() = default;
  ~ClientCore();
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;

  // Sends a call and waits for its answer. Answers to earlier calls are kept for dispatch().
  Result<Answer> call(std::string_view method, JsonText parameters);
  // Sends a call; dispatch() calls `on_answer`.
  void call_async(std::string_view method, JsonText parameters, OnAnswer on_answer);
  // Turns an answer of Create or Open into a Region.
  Result<Region> make_region(Result<Answer> answer, Access wanted, bool creator = false);
  // Which of the client's connections a handle belongs to.
  enum class Line : std::uint8_t { own, mail };
  // Takes the handle's descriptors from `fds`.
  Result<Region> make_region(protocol::Region info, const protocol::Handle& handle, std::vector<UniqueFd>& fds,
                             bool creator, Line line);
  // Waits for memiod, or for the time to look for it again, or for `other` to be readable, and handles what has come
  // from memiod. Tells of nothing. Error: system.
  Result<void> step(const Deadline& deadline, int other = -1);
  // Tells memiod, if it is still there, that a handle is no longer used.
  void close_handle(std::uint64_t id, Line line = Line::own) noexcept;
  // Has memiod, if it is still there, remove a region of ours.
  void remove_name(const std::string& name) noexcept;

  // Every region that is open, to be claimed again when memiod comes back.
  void add_region(OpenRegion& region) { regions_.push_back(&region); }
  void remove_region(OpenRegion& region) noexcept { std::erase(regions_, &region); }
  // Whether a lost connection is made again without anybody's help.
  [[nodiscard]] bool can_reconnect() const noexcept { return !path_.empty(); }
  // Whether somebody will renew() it.
  void set_renewable(bool renewable) noexcept { renewable_ = renewable; }
  [[nodiscard]] bool will_come_back() const noexcept { return renewable_ || can_reconnect(); }
  // Goes on with a new socket in the place of the lost one.
  Result<void> renew(UniqueFd socket);

  // `doorbell` must not be in the epoll yet.
  Result<std::size_t> add_subscription(Subscriber& subscriber, int doorbell, Event::Kind kind, Token token);
  void remove_subscription(std::size_t index, int doorbell) noexcept;
  // Has dispatch() look at a subscription or a watcher, whether its descriptor says so or not.
  void look_again(std::size_t index) noexcept;
  Result<void> add_watcher(Watcher::Impl& watcher);
  void remove_watcher(Watcher::Impl& watcher) noexcept;
  Result<void> poll_watcher(Watcher::Impl& watcher) noexcept;
  void stop_polling(int fd) noexcept;
  // From now on, and not for ever, what memiod cannot give at once is asked for again.
  void begin_asking() noexcept;
  // Asks for a fresh connection for a watcher that lost its own.
  void resume(Watcher::Impl& watcher);

  // The connection on which it receives; made when first needed.
  Mail& mail();
  // Asks for the socket of it; Mail::opened() is told.
  void open_mail();
  Result<void> poll_mail(int fd, std::uint32_t events) noexcept;
  void repoll_mail(int fd, std::uint32_t events) noexcept;
  // The connection on which it receives is lost, with the handles of regions that came on it: they are claimed on the
  // client's own.
  void lose_mail_handles() noexcept;
  void add_mail_source(MailSource& source);
  void remove_mail_source(MailSource& source) noexcept;
  void make_mail_ready(MailSource& source) noexcept;
  // Calls back from dispatch().
  void run_in_dispatch(std::function<void()> body);
  // Whether something is on its way from memiod, or to be asked for again when the timer says so.
  [[nodiscard]] bool expects_something() const noexcept { return asks_again_ || !pending_.empty(); }
  // Has the connection on which it receives made later, for want of something that passes. False if it was wanted for
  // too long already.
  [[nodiscard]] bool open_mail_later() noexcept;
  [[nodiscard]] bool mail_due() const noexcept { return mail_due_; }
  // If it is gone and can be looked for, looks now.
  void look_for_memiod();
  // The Client has gone: nothing is handed out any more.
  void forget_requests() noexcept;

  [[nodiscard]] int get_fd() const noexcept { return epoll_.get(); }
  [[nodiscard]] bool connected() const noexcept { return connected_; }
  // Waits at most `timeout` milliseconds (epoll_wait's) if there is nothing to do at once.
  std::size_t dispatch(std::span<Event> events, int timeout = 0);

 private:
  // What an epoll event stands for, in its 64 bits: the kind above, an index below.
  enum class Kind : std::uint32_t { socket, again, retry, doorbell, watcher, mail };
  struct Source {  // a subscription, a watcher, or a command's handler or a listener
    Subscriber* subscriber = nullptr;
    Watcher::Impl* watcher = nullptr;
    MailSource* mail = nullptr;
    Event::Kind kind = Event::Kind::watch_ready;
    Token token;
    bool ready = false;  // is in ready_
  };
  struct Pending {
    OnAnswer on_answer;  // none for the call that call() itself waits for
    bool ours = false;   // the library's own: answered at once, not in dispatch()
  };

  static std::uint64_t key(Kind kind, std::size_t index) noexcept;
  Result<void> poll_add(int fd, std::uint32_t events, std::uint64_t data) noexcept;
  std::size_t add_source(Source source);
  void remove_source(std::size_t index) noexcept;

  void send_oneway(std::string_view method, JsonText parameters) noexcept;
  void send(const std::string& call, Pending pending, std::vector<UniqueFd> fds = {});
  void answer(Pending pending, Result<Answer> answer);
  // Writes the socket as far as it goes without blocking; pump() reads it, too, and may wait for something to read.
  void flush() noexcept;
  enum class Wait : bool { no, yes };
  void pump(Wait wait = Wait::no) noexcept;
  Result<void> pump_once(Wait wait);
  Result<void> take_frame(Frame frame);
  void update_interest() noexcept;
  void disconnect(Error reason) noexcept;
  void call_again() noexcept;
  void run_answered();
  void make_ready(std::size_t index) noexcept;
  void collect(std::span<const epoll_event> found);
  // What there is to tell of a handler or listener.
  [[nodiscard]] std::optional<Event> take_mail_event(std::size_t index) noexcept;

  // reconnect.cpp
  void set_timer(std::chrono::milliseconds delay) noexcept;
  void start_retrying() noexcept;
  void retry() noexcept;
  Result<void> reconnect();
  void claim_due();
  void claim(OpenRegion& region);
  void claim_later(OpenRegion& region) noexcept;
  // Whether what was refused is to be asked for again, later, because it may be a passing lack of something.
  [[nodiscard]] bool may_ask_again(Errc reason) const noexcept;
  bool ask_later() noexcept;
  void ask_again();

  std::optional<Channel> channel_;
  bool connected_ = true;
  bool tell_disconnected_ = false;
  bool wants_write_ = false;
  Error disconnect_reason_{Errc::disconnected};
  std::string path_;
  bool renewable_ = false;
  bool tell_reconnected_ = false;
  std::chrono::milliseconds retry_delay_{0};
  std::vector<OpenRegion*> regions_;
  bool mail_due_ = false;
  bool asks_again_ = false;     // the timer is set to ask again for what is due
  bool memiod_stayed_ = false;  // while connections were lost, so it may have to notice that first
  std::chrono::steady_clock::time_point ask_until_;
  std::deque<Pending> pending_;                               // in the order of the calls, which is that of the replies
  std::optional<Result<Answer>> own_answer_;                  // what call() waits for
  std::deque<std::pair<OnAnswer, Result<Answer>>> answered_;  // to be handed out by dispatch()

  std::unique_ptr<Mail> mail_;
  bool dispatching_ = false;
  std::vector<Source> sources_;
  std::vector<std::size_t> free_sources_;
  std::vector<std::size_t> ready_;

  UniqueFd again_;
  UniqueFd retry_timer_;
  // Last, so that it is closed first: no descriptor is closed while it is still in the epoll.
  UniqueFd epoll_;
};

}  // namespace memio::detail

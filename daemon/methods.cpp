// SPDX-License-Identifier: MIT
#include "methods.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "mail_methods.h"
#include "memio/protocol_json.h"
#include "memio/region_name.h"
#include "metrics.h"
#include "service_interface.h"
#include "take_over.h"

namespace memio::broker {

namespace {

using namespace protocol;  // NOLINT(google-build-using-namespace): every line here speaks of the protocol

// The one that the creator of a region gets.
constexpr std::uint32_t first_cell = 1;

Error no_such_region(const std::string& name) {
  return {Errc::no_such_region, 0, "there is no region " + name + ", or none that this connection may know of"};
}

Error no_such_handle(std::uint64_t id) {
  return {Errc::no_such_handle, 0, "this connection has no open handle " + std::to_string(id)};
}

// A session's process, as the protocol has it.
std::optional<std::uint64_t> pid_of(const Session& session) {
  const auto process = session.pid();
  return process ? std::optional(static_cast<std::uint64_t>(*process)) : std::nullopt;
}

// The region of that name, if the session has the right to it.
Result<std::shared_ptr<broker::Region>> find_region(Context& context, const std::string& name, Right right) {
  if (auto checked = check_name(name); !checked) return fail(std::move(checked.error()));
  const Grants& grants = context.session.grants();
  auto region = grants.knows(name) ? context.broker.registry().find(name) : nullptr;
  if (!region) return fail(no_such_region(name));
  if (!grants.allows(name, right))
    return fail(Errc::permission_denied,
                "this connection may not " + std::string(to_string(right)) + " the region " + name);
  return region;
}

Result<Answer> open_handle(Context& context, const std::shared_ptr<broker::Region>& region, Access access) {
  constexpr std::size_t fd_count = 3;
  if (auto room = context.session.check_room_for_fds(fd_count); !room) return fail(std::move(room.error()));
  auto opened = context.session.open_handle(region, access);
  if (!opened) return fail(std::move(opened.error()));
  return Answer{to_text(OpenReply{.region = region->info(), .handle = opened->handle}), std::move(opened->fds)};
}

constexpr std::size_t looks_a_call = 64;  // are as much work as a call, or less

// A region came or went, and each watch has looked at it.
void spend_on_watches(Context& context) { context.session.spend(context.broker.watches().count() / looks_a_call); }

Result<Answer> create(Context& context, const CreateParameters& parameters) {
  if (auto checked = check_name(parameters.name); !checked) return fail(std::move(checked.error()));
  if (!context.session.grants().allows(parameters.name, Right::create))
    return fail(Errc::permission_denied, "this connection may not create a region " + parameters.name);
  auto region = context.broker.registry().create(parameters, context.session.account());
  if (!region) return fail(std::move(region.error()));
  spend_on_watches(context);
  auto answer = open_handle(context, *region, Access::write);
  if (!answer) {
    context.broker.registry().remove(*region);
    return answer;
  }
  (*region)->set_creator_cell(first_cell);
  if ((*region)->lifetime() == Lifetime::session) context.session.add_created(*region);
  return answer;
}

Result<Answer> open(Context& context, const OpenParameters& parameters) {
  auto region = find_region(context, parameters.name, parameters.access == Access::write ? Right::write : Right::read);
  if (!region) return fail(std::move(region.error()));
  if (parameters.access == Access::write && (*region)->exclusive())
    return fail(Errc::permission_denied, "the region " + parameters.name + " is for its creator alone to write");
  return open_handle(context, *region, parameters.access);
}

// The descriptors that a call refers to by their places.
Result<broker::Region::Fds> take_fds(Context& context, const AttachParameters& parameters) {
  const auto take = [&](std::uint64_t index) {
    return index < context.fds.size() ? std::move(context.fds[index]) : UniqueFd();
  };
  broker::Region::Fds fds{take(parameters.region_file_descriptor), take(parameters.leases_file_descriptor),
                          take(parameters.doorbell_file_descriptor)};
  if (!fds.region.valid() || !fds.leases.valid() || !fds.doorbell.valid())
    return fail(Errc::not_the_region,
                "Attach wants three file descriptors, in places of their own; a socket is none of them");
  return fds;
}

// While regions come back, whoever did not make one holds it for its user alone: its maker may be about to come. Later,
// and from a scoped connection, a region is the caller's like one that it creates.
std::shared_ptr<Account> payer_of(Context& context, const AttachParameters& parameters) {
  Account& own = context.session.account();
  const bool for_user = !parameters.creator && !context.session.scoped() && context.broker.regions_come_back();
  return for_user ? own.of_user() : own.shared_from_this();
}

Result<Answer> attach(Context& context, const AttachParameters& parameters) {
  if (auto checked = check_name(parameters.name); !checked) return fail(std::move(checked.error()));
  auto fds = take_fds(context, parameters);
  if (!fds) return fail(std::move(fds.error()));
  const Grants& grants = context.session.grants();
  const Right right = parameters.access == Access::write ? Right::write : Right::read;
  auto region = context.broker.registry().find_same(parameters.name, *fds);
  const auto cell = static_cast<std::uint32_t>(parameters.cell);
  // It may have been passed on to one who has no right to it by its name, but who shows whose cell it is.
  const bool has_it = region && region->is_tied_to(cell, *fds) &&
                      (right == Right::read || region->access_by(fds->region.get()) == Access::write);
  if (!has_it && !grants.allows(parameters.name, region ? right : Right::create))
    return fail(Errc::permission_denied, "this connection may not attach the region " + parameters.name);
  std::uint64_t id = 0;
  const auto claim = [&](const std::shared_ptr<broker::Region>& claimed) -> Result<void> {
    auto handle = context.session.claim_handle(claimed, parameters.access, cell);
    if (!handle) return fail(std::move(handle.error()));
    id = *handle;
    return {};
  };
  if (region) {
    if (auto claimed = claim(region); !claimed) return fail(std::move(claimed.error()));
  } else {
    auto adopted = context.broker.registry().adopt(parameters, std::move(*fds), *payer_of(context, parameters), claim);
    if (!adopted && adopted.error().code == Errc::region_exists)
      return fail(Errc::not_the_region, "the name " + parameters.name + " belongs to another region by now");
    if (!adopted) return fail(std::move(adopted.error()));
    region = *adopted;
    context.broker.linger().on_adopted(region);
    spend_on_watches(context);
  }
  const bool made_it = parameters.creator && grants.allows(parameters.name, Right::create);
  if (made_it && region->orphaned() && region->creator_cell().value_or(cell) == cell) {
    region->set_orphaned(false);
    region->set_creator_cell(cell);
    context.session.add_created(region);
  }
  return Answer{to_text(AttachReply{.region = region->info(), .id = id}), {}};
}

Result<Answer> seal(Context& context, const SealParameters& parameters) {
  const auto found = context.session.handles().find(parameters.id);
  if (found == context.session.handles().end()) return fail(no_such_handle(parameters.id));
  const auto& handle = found->second;
  // Only the creator of an exclusive region has a handle of it for writing.
  if (!handle.region().exclusive() || handle.access() != Access::write)
    return fail(Errc::permission_denied, "the region " + handle.region().name() +
                                             " was not created as exclusive by this connection, so it is not sealed");
  if (auto sealed = handle.region().seal_against_writing(); !sealed) return fail(std::move(sealed.error()));
  return Answer{to_text(SealReply{}), {}};
}

Result<Answer> close_handle(Context& context, const CloseParameters& parameters) {
  if (!context.session.close_handle(parameters.id)) return fail(no_such_handle(parameters.id));
  return Answer{to_text(CloseReply{}), {}};
}

// The names of all regions were looked at, with the patterns of the session's grants.
void spend_on_names(Context& context) {
  context.session.spend(context.broker.registry().regions().size() * (context.session.grants().count() + 1) /
                        looks_a_call);
}

Result<Answer> list(Context& context, const ListParameters& parameters) {
  if (parameters.pattern)
    if (auto checked = check_pattern(*parameters.pattern); !checked) return fail(std::move(checked.error()));
  ListReply reply;
  if (!parameters.pattern) reply.regions.reserve(context.broker.registry().regions().size());
  for (const auto& [name, region] : context.broker.registry().regions())
    if (context.session.grants().knows(name) && (!parameters.pattern || matches(*parameters.pattern, name)))
      reply.regions.push_back(region->info());
  spend_on_names(context);
  return Answer{to_text(reply), {}};
}

Result<Answer> stat(Context& context, const StatParameters& parameters) {
  if (auto checked = check_name(parameters.name); !checked) return fail(std::move(checked.error()));
  const auto region = context.broker.registry().find(parameters.name);
  if (!region || !context.session.grants().knows(parameters.name)) return fail(no_such_region(parameters.name));
  const auto latest = region->latest();
  StatReply reply{
      .region = region->info(), .version = latest.version, .length = latest.length, .memory = region->memory_in_use()};
  reply.region.sequence = latest.sequence;
  std::size_t looks = 0;
  for (const auto& [session_id, session] : context.broker.sessions()) {
    looks += 1 + session->handles().size();
    for (const auto& [id, handle] : session->handles()) {
      if (&handle.region() != region.get()) continue;
      reply.handle_states.push_back({.pid = pid_of(*session),
                                     .access = handle.access(),
                                     .leases = region->leases_of(handle.cell()),
                                     .writing = region->is_writing(handle.cell())});
    }
  }
  context.session.spend(looks / looks_a_call);
  return Answer{to_text(reply), {}};
}

Result<Answer> remove(Context& context, const RemoveParameters& parameters) {
  auto region = find_region(context, parameters.name, Right::remove);
  if (!region) return fail(std::move(region.error()));
  context.broker.registry().remove(*region);
  spend_on_watches(context);
  return Answer{to_text(RemoveReply{}), {}};
}

Result<Answer> watch(Context& context, const WatchParameters& parameters) {
  if (!context.more) return fail(Errc::expected_more);
  if (parameters.pattern)
    if (auto checked = check_pattern(*parameters.pattern); !checked) return fail(std::move(checked.error()));
  Session& session = context.session;
  auto charge = session.account().charge(Resource::watches);
  if (!charge) return fail(std::move(charge.error()));
  Watch::Owner owner{
      .may_watch = [&session](const std::string& name) { return session.grants().allows(name, Right::watch); },
      .can_send = [&session] { return session.takes_events(); },
      .send =
          [&session](const WatchReply& event) {
            session.send(WrittenReply{.parameters = to_text(event), .continues = true});
          },
      .wake = [&session] { session.wake(); }};
  auto& added = session.watches().emplace_back(std::move(owner), parameters.pattern,
                                               parameters.versions.value_or(false), std::move(*charge));
  context.broker.watches().add(added);
  spend_on_names(context);
  return Answer{};
}

Result<Answer> open_connection(Context& context, const OpenConnectionParameters& parameters) {
  if (auto room = context.session.check_room_for_fds(1); !room) return fail(std::move(room.error()));
  Grants grants = context.session.grants();
  if (parameters.grants) {
    const auto most = context.broker.limits().grants;
    if (grants.count() + parameters.grants->size() > most)
      return fail(Errc::limit_exceeded, "more than " + std::to_string(most) +
                                            " grants, with those of the connections that it is made through "
                                            "(limits.grants in memiod.conf)");
    auto narrowed = grants.narrowed(*parameters.grants);
    if (!narrowed) return fail(std::move(narrowed.error()));
    grants = std::move(*narrowed);
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return fail(Error{Errc::out_of_resources, errno, "making a connection"});
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  if (auto added = context.broker.add_scoped_session(std::move(ours), std::move(grants), context.session.account());
      !added)
    return fail(std::move(added.error()));
  Answer answer{to_text(OpenConnectionReply{.connection_file_descriptor = 0,
                                            .message_bytes = context.broker.limits().message_bytes}),
                {}};
  answer.fds.push_back(std::move(theirs));
  return answer;
}

// What tells of others is for the owner alone.
Result<void> check_owner(Context& context, std::string_view method) {
  const Session& session = context.session;
  const auto uid = session.account().uid();
  if (!session.scoped() && session.grants().everything() && (uid == ::geteuid() || uid == 0)) return {};
  return fail(Errc::permission_denied,
              std::string(method) +
                  " is for the user that memiod runs as, by a connection that is not scoped and "
                  "may do everything");
}

Result<Answer> list_sessions(Context& context, const ListSessionsParameters&) {
  if (auto checked = check_owner(context, "ListSessions"); !checked) return fail(std::move(checked.error()));
  ListSessionsReply reply;
  for (const auto& [id, session] : context.broker.sessions()) {
    session->release_received_fds();
    const auto& account = session->account();
    const auto* mailbox = session->mailbox_if_any();
    const auto mail = mailbox ? context.broker.commands().counts(*mailbox) : Commands::Counts{};
    const auto listens = mailbox ? context.broker.topics().listens(*mailbox) : 0;
    reply.sessions.push_back({.id = id,
                              .uid = account.uid(),
                              .pid = pid_of(*session),
                              .scoped = session->scoped(),
                              .handles = session->handles().size(),
                              .watches = session->watches().size(),
                              .commands = mail.commands,
                              .listens = listens,
                              .calls = mail.calls,
                              .regions = account.used(Resource::regions),
                              .bytes = account.used(Resource::bytes),
                              .queued_bytes = session->queued_bytes(),
                              .fds = session->unreceived_fds(),
                              .messages = session->counts().messages,
                              .errors = session->counts().errors,
                              .pauses = session->counts().pauses});
  }
  return Answer{to_text(reply), {}};
}

Result<Answer> metrics(Context& context, const MetricsParameters& parameters) {
  if (auto checked = check_owner(context, "Metrics"); !checked) return fail(std::move(checked.error()));
  MetricsReply reply;
  auto families = collect_metrics(context.broker);
  if (parameters.open_metrics.value_or(false))
    reply.open_metrics = to_open_metrics(families);
  else
    reply.families = std::move(families);
  return Answer{to_text(reply), {}};
}

Result<Answer> take_over(Context& context, const TakeOverParameters& parameters) {
  if (auto checked = check_owner(context, "TakeOver"); !checked) return fail(std::move(checked.error()));
  if (!context.more) return fail(Errc::expected_more);
  if (parameters.version < hand_over_version)
    return fail(Errc::invalid_parameter, "version");  // there is none before the first
  if (auto handed = context.broker.hand_over_to(context.session); !handed) return fail(std::move(handed.error()));
  return Answer{};
}

using Handler = Result<Answer> (*)(Context&, const Json&);

template <class Parameters, Result<Answer> (*handle)(Context&, const Parameters&)>
Result<Answer> with_parameters(Context& context, const Json& json) {
  auto parameters = parse<Parameters>(json);
  if (!parameters) return fail(std::move(parameters.error()));
  return handle(context, *parameters);
}

template <Result<Json> (*handle)(const Json&)>
Result<Answer> of_service(Context&, const Json& json) {
  auto reply = handle(json);
  if (!reply) return fail(std::move(reply.error()));
  return Answer{JsonText{reply->dump()}, {}};
}

constexpr std::array<std::pair<std::string_view, Handler>, 24> methods = {{
    {attach_method, with_parameters<AttachParameters, attach>},
    {create_method, with_parameters<CreateParameters, create>},
    {open_method, with_parameters<OpenParameters, open>},
    {seal_method, with_parameters<SealParameters, seal>},
    {close_method, with_parameters<CloseParameters, close_handle>},
    {list_method, with_parameters<ListParameters, list>},
    {stat_method, with_parameters<StatParameters, stat>},
    {remove_method, with_parameters<RemoveParameters, remove>},
    {watch_method, with_parameters<WatchParameters, watch>},
    {take_over_method, with_parameters<TakeOverParameters, take_over>},
    {open_connection_method, with_parameters<OpenConnectionParameters, open_connection>},
    {list_sessions_method, with_parameters<ListSessionsParameters, list_sessions>},
    {metrics_method, with_parameters<MetricsParameters, metrics>},
    {receive_method, with_parameters<ReceiveParameters, receive>},
    {handle_method, with_parameters<HandleParameters, handle_command>},
    {unhandle_method, with_parameters<UnhandleParameters, unhandle_command>},
    {listen_method, with_parameters<ListenParameters, listen_to_topics>},
    {unlisten_method, with_parameters<UnlistenParameters, unlisten_to_topics>},
    {invoke_method, with_parameters<InvokeParameters, invoke_command>},
    {cancel_method, with_parameters<CancelParameters, cancel_call>},
    {answer_method, with_parameters<AnswerParameters, answer_command>},
    {emit_method, with_parameters<EmitParameters, emit_message>},
    {service::get_info_method, of_service<service::get_info>},
    {service::get_interface_description_method, of_service<service::get_interface_description>},
}};

bool takes_fds(std::string_view method) { return method == attach_method || takes_attachments(method); }

Result<Answer> dispatch(Context& context, const Call& call) {
  if (context.session.receives() && !call.oneway)
    return fail(Errc::malformed_message,
                "on a connection that receives every call is oneway, because its replies are those of Receive");
  const auto found = std::ranges::find(methods, call.method, &std::pair<std::string_view, Handler>::first);
  if (found == methods.end()) return fail(service::unknown_method(call.method));
  if (!context.fds.empty() && !takes_fds(call.method))
    return fail(Errc::unexpected_file_descriptors, call.method + " takes no file descriptors, but " +
                                                       std::to_string(context.fds.size()) +
                                                       " came with it; they were closed");
  // Who answers badly is not told so, but its caller is: Answer sees to it.
  if (context.fds_lost && call.method != answer_method) return no_room_for_fds();
  return found->second(context, call.parameters);
}

}  // namespace

void answer_call(Broker& broker, Session& session, const Call& call, Frame frame) {
  Context context{broker, session, call.more, call.oneway, std::move(frame.fds), frame.fds_lost};
  // Those that tell of a request are deliveries, and there is no other way to tell of it.
  const auto id = session.receives() ? request_id(call) : std::nullopt;
  auto answer = dispatch(context, call);
  context.fds.clear();
  if (!answer) {
    // The system's own failures all are a lack of something to the caller.
    if (answer.error().code == Errc::system) answer.error().code = Errc::out_of_resources;
    if (!call.oneway || id) session.refuse(std::move(answer.error()), id);
  } else if (answer->parameters && id) {
    session.mailbox().post({.kind = DeliveryKind::answer, .id = id});
  } else if (answer->parameters && !call.oneway) {
    session.send(WrittenReply{.parameters = std::move(*answer->parameters)}, std::move(answer->fds));
  }
}

}  // namespace memio::broker

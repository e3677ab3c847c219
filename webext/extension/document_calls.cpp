// SPDX-License-Identifier: MIT
// What the runtime asks of a DocumentSession. Arguments come from a page in the end, so each is checked here, before it
// goes to memiod: names because a message that is too long would end the connection, numbers because JavaScript's are
// doubles.

#include <functional>
#include <limits>

#include "document_session.h"
#include "futex.h"
#include "memio/protocol_json.h"
#include "memio/region_name.h"
#include "open_region.h"

namespace memio::webext {

namespace {

// A page must not stand still for long: with other writers at work it is better told to try again.
constexpr std::chrono::milliseconds write_timeout{10};

Result<std::string> name_argument(const Arguments& arguments, unsigned index) {
  auto name = arguments.string(index);
  if (!name) return fail(Errc::invalid_name, "a region's name is a string, not " + describe(arguments.at(index)));
  if (auto checked = check_name(*name); !checked) return fail(std::move(checked.error()));
  return std::move(*name);
}

// Empty, for everything, if there is none.
Result<std::string> pattern_argument(const Arguments& arguments, unsigned index) {
  if (arguments.absent(index)) return std::string();
  auto text = arguments.string(index);
  if (!text) return fail(Errc::invalid_pattern, "a pattern is a string, not " + describe(arguments.at(index)));
  if (auto checked = check_pattern(*text); !checked) return fail(std::move(checked.error()));
  return std::move(*text);
}

// One of an enum's words; `what` names it in the error.
template <class E>
Result<E> word_argument(const Arguments& arguments, unsigned index, const std::string& what) {
  const auto text = arguments.string(index);
  const auto word = text ? protocol::from_string<E>(*text) : std::nullopt;
  if (word) return *word;
  std::string words;
  for (const auto& name : protocol::EnumNames<E>::names) words.append(words.empty() ? "" : ", ").append(name);
  return fail(Errc::invalid_parameter, what + " is one of " + words + ", not " + describe(arguments.at(index)));
}

Result<RegionOptions> create_arguments(const Arguments& arguments) {
  RegionOptions options;
  const auto capacity = arguments.number(2);
  if (!capacity)
    return fail(Errc::invalid_capacity,
                "a region's capacity is a whole number of bytes, not " + describe(arguments.at(2)));
  options.capacity = *capacity;
  if (!arguments.absent(3)) {
    const auto slots = arguments.number(3);
    if (!slots || *slots > format::max_slots)
      return fail(Errc::invalid_slots, "a region has 1 to " + std::to_string(format::max_slots) + " slots, not " +
                                           describe(arguments.at(3)));
    options.slots = static_cast<unsigned>(*slots);
  }
  if (!arguments.absent(4)) {
    const auto layout = word_argument<Layout>(arguments, 4, "a region's layout");
    if (!layout) return fail(layout.error());
    options.layout = *layout;
  }
  if (!arguments.absent(5)) {
    const auto lifetime = word_argument<Lifetime>(arguments, 5, "a region's lifetime");
    if (!lifetime) return fail(lifetime.error());
    options.lifetime = *lifetime;
  }
  if (!arguments.absent(6)) {
    if (!jsc_value_is_boolean(arguments.at(6)))
      return fail(Errc::invalid_parameter, "hugePages is true or false, not " + describe(arguments.at(6)));
    options.huge_pages = jsc_value_to_boolean(arguments.at(6));
  }
  if (!arguments.absent(7)) {
    const auto milliseconds = arguments.number(7);
    if (!milliseconds)
      return fail(Errc::invalid_parameter,
                  "shrinkAfter is a whole number of milliseconds, not " + describe(arguments.at(7)));
    options.shrink_after = std::chrono::milliseconds(*milliseconds);
  }
  return options;
}

Json to_answer(const std::vector<RegionInfo>& regions) {
  Json json = Json::array();
  for (const auto& region : regions) json.push_back(protocol::to_json(region));
  return json;
}
Json to_answer(const RegionState& state) { return protocol::to_json(state); }

}  // namespace

std::uint64_t DocumentSession::request_of(const Arguments& arguments) { return arguments.number(0).value_or(0); }

template <class T>
Client::Done<T> DocumentSession::answer_to(std::uint64_t request, const std::shared_ptr<Link>& link) {
  // Weakly: the Link holds what holds this. What comes too late, or after the document was left, is dropped; a region's
  // handle is closed by that.
  return [weak = weak_from_this(), weak_link = std::weak_ptr(link), call = begin_call(request),
          request](Result<T> result) {
    const auto session = weak.lock();
    if (!session || !session->end_call(call)) return;
    if (!result)
      session->answer(request, fail(std::move(result.error())));
    else if constexpr (std::is_void_v<T>)
      session->answer(request, Json());
    else if constexpr (std::is_same_v<T, Region>)
      session->answer(request, session->adopt_region(weak_link.lock(), std::move(*result)));
    else
      session->answer(request, to_answer(*result));
  };
}

Result<Json> DocumentSession::adopt_region(std::shared_ptr<Link> link, Region region) {
  region.set_write_timeout(write_timeout);
  const std::uint64_t handle = ++last_handle_;
  RegionMemory& memory = RegionAccess::memory(region);
  const Geometry& geometry = memory.geometry();
  Json json;
  json["handle"] = handle;
  json["access"] = protocol::to_string(region.access());
  json["info"] = protocol::to_json(region.info());
  json["cell"] = memory.cell_index();
  json["dataSize"] = geometry.directory_offset();
  json["controlSize"] = page_size() + format::lease_table_size(memory.cell_index() + 1);
  regions_.try_emplace(handle, OpenedRegion{.link = std::move(link), .region = std::move(region)});
  return json;
}

template <class T, class Call>
JsValue DocumentSession::ask(const Arguments& arguments, Result<std::string> subject, Call method) {
  const std::uint64_t request = request_of(arguments);
  if (!subject) {
    answer(request, fail(std::move(subject.error())));
    return {};
  }
  with_link([this, request, subject = std::move(*subject), method](Result<std::shared_ptr<Link>> link) {
    if (!link)
      answer(request, fail(std::move(link.error())));
    else
      std::invoke(method, (*link)->client(), subject, answer_to<T>(request, *link));
  });
  return {};
}

JsValue DocumentSession::open(JSCContext*, const Arguments& arguments) {
  auto name = name_argument(arguments, 1);
  const auto access = word_argument<Access>(arguments, 2, "access");
  if (name && !access) name = fail(access.error());
  return ask<Region>(arguments, std::move(name), [access](Client& client, const std::string& checked, auto done) {
    client.open_async(checked, *access, std::move(done));
  });
}

JsValue DocumentSession::create(JSCContext*, const Arguments& arguments) {
  auto name = name_argument(arguments, 1);
  const auto options = create_arguments(arguments);
  if (name && !options) name = fail(options.error());
  return ask<Region>(arguments, std::move(name), [options](Client& client, const std::string& checked, auto done) {
    client.create_async(checked, *options, std::move(done));
  });
}

JsValue DocumentSession::list(JSCContext*, const Arguments& arguments) {
  return ask<std::vector<RegionInfo>>(arguments, pattern_argument(arguments, 1), &Client::list_async);
}

JsValue DocumentSession::stat(JSCContext*, const Arguments& arguments) {
  return ask<RegionState>(arguments, name_argument(arguments, 1), &Client::stat_async);
}

JsValue DocumentSession::remove(JSCContext*, const Arguments& arguments) {
  return ask<void>(arguments, name_argument(arguments, 1), &Client::remove_async);
}

DocumentSession::OpenedRegion* DocumentSession::find(const Arguments& arguments) {
  const auto handle = arguments.number(0);
  const auto found = handle ? regions_.find(*handle) : regions_.end();
  return found == regions_.end() ? nullptr : &found->second;
}

Error DocumentSession::closed_handle() { return {Errc::misuse, 0, "the region has been closed; open it again"}; }

JsValue DocumentSession::watch(JSCContext*, const Arguments& arguments) {
  const std::uint64_t number = arguments.number(0).value_or(0);
  auto pattern = pattern_argument(arguments, 1);
  if (!pattern) {
    end_watch(number, pattern.error());
    return {};
  }
  watches_[number].reset();
  const bool versions = arguments.at(2) && jsc_value_to_boolean(arguments.at(2));
  with_link([this, number, pattern = std::move(*pattern), versions](Result<std::shared_ptr<Link>> link) {
    if (!link) return end_watch(number, link.error());
    auto begun = [weak = weak_from_this(), weak_link = std::weak_ptr(*link), life = life_,
                  number](Result<Watcher> watcher) {
      const auto session = weak.lock();
      if (!session || session->life_ != life) return;
      const auto found = session->watches_.find(number);
      if (found == session->watches_.end()) return;  // unwatch() was faster
      if (!watcher) return session->end_watch(number, watcher.error());
      found->second.emplace(OpenedWatch{weak_link.lock(), std::move(*watcher)});
    };
    (*link)->client().watch_async(pattern, versions, Token{number}, std::move(begun));
  });
  return {};
}

JsValue DocumentSession::unwatch(JSCContext*, const Arguments& arguments) {
  if (const auto number = arguments.number(0)) watches_.erase(*number);
  return {};
}

JsValue DocumentSession::begin(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened) return to_js(context, closed_handle());
  const auto length = arguments.number(1);
  if (!length)
    return to_js(context,
                 Error{Errc::misuse, 0, "a length is a whole number of bytes, not " + describe(arguments.at(1))});
  if (*length > opened->region.info().capacity)
    return to_js(context,
                 Error{Errc::payload_too_large, 0,
                       std::to_string(*length) + " bytes are more than the capacity of " + opened->region.info().name +
                           ", " + std::to_string(opened->region.info().capacity)});
  const auto begun = opened->region.begin(static_cast<std::size_t>(*length));
  if (!begun) return to_js(context, begun.error());
  // The runtime fills the same memory through its own mapping.
  return to_js(context, std::uint64_t{RegionAccess::writer(opened->region).slot()});
}

JsValue DocumentSession::commit(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened) return to_js(context, closed_handle());
  std::optional<std::uint64_t> version;
  if (!arguments.absent(1)) {
    constexpr std::uint64_t largest_half = std::numeric_limits<std::uint32_t>::max();
    const auto low = arguments.number(1);
    const auto high = arguments.number(2);
    if (!low || !high || *low > largest_half || *high > largest_half)
      return to_js(context, Error{Errc::misuse, 0, "a version is an integer from 0 to 2^64 - 1"});
    version = *high << 32 | *low;
  }
  const auto sequence = opened->region.commit(version);
  if (!sequence) return to_js(context, sequence.error());
  return to_js(context, *sequence);
}

JsValue DocumentSession::abort(JSCContext*, const Arguments& arguments) {
  if (OpenedRegion* opened = find(arguments)) opened->region.abort();
  return {};
}

JsValue DocumentSession::subscribe(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened) return to_js(context, closed_handle());
  const Token token{arguments.number(0).value_or(0)};
  if (!arguments.at(2) || !jsc_value_is_function(arguments.at(2)))
    return to_js(context, Error{Errc::misuse, 0, "subscribe wants a function to call"});
  const auto subscribed = opened->region.subscribe(token, arguments.number(1).value_or(0));
  if (!subscribed) return to_js(context, subscribed.error());
  // Kept ready, and called without arguments, because each thing that is looked up on the way to the page costs time.
  opened->changed = share(arguments.at(2));
  opened->nothing.reset(jsc_value_new_undefined(context));
  return {};
}

JsValue DocumentSession::wake(JSCContext*, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened) return {};
  auto& wanted = RegionAccess::memory(opened->region).lease_table().slot_wanted;
  wanted.store(0, std::memory_order_relaxed);
  futex::wake(wanted, std::numeric_limits<int>::max());
  return {};
}

JsValue DocumentSession::close(JSCContext*, const Arguments& arguments) {
  if (const auto handle = arguments.number(0)) regions_.erase(*handle);
  return {};
}

JsValue DocumentSession::leave(JSCContext*, const Arguments&) {
  suspend();
  return {};
}

JsValue DocumentSession::come_back(JSCContext*, const Arguments&) {
  suspended_ = false;
  return {};
}

}  // namespace memio::webext

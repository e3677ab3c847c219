// SPDX-License-Identifier: MIT
// What a stream needs of a DocumentSession besides its memory (webext/js/src/stream_page.ts; proto/STREAM_FORMAT.md):
// its doorbells and its wills. The ring itself is in the runtime's hands, or in a worker's.
//
// A side's cell is in the region whose doorbell wakes the other side: the writer's in the ring's region, the reader's
// in that of the first buffer. So each side has a region of its own and one of the other's.

#include "document_session.h"
#include "open_region.h"

namespace memio::webext {

Region& DocumentSession::OpenedRegion::own() { return writes ? region : buffers.front(); }
Region& DocumentSession::OpenedRegion::others() { return writes ? buffers.front() : region; }

DocumentSession::OpenedRegion* DocumentSession::find_stream(const Arguments& arguments) {
  OpenedRegion* ring = find(arguments);
  return ring && !ring->buffers.empty() ? ring : nullptr;
}

// joinStream(ring, writes, rung)
JsValue DocumentSession::join_stream(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* ring = find_stream(arguments);
  if (!ring) return to_js(context, closed_handle());
  if (!arguments.at(2) || !jsc_value_is_function(arguments.at(2)))
    return to_js(context, Error{Errc::misuse, 0, "joinStream wants a function to call"});
  ring->writes = arguments.at(1) && jsc_value_to_boolean(arguments.at(1));
  ring->region.unsubscribe();  // from the publish that it began with
  const auto subscribed = RegionAccess::subscribe_rings(ring->others(), Token{arguments.number(0).value_or(0)});
  if (!subscribed) return to_js(context, subscribed.error());
  // As subscribe() does.
  ring->changed = share(arguments.at(2));
  ring->nothing.reset(jsc_value_new_undefined(context));
  RegionAccess::set_will(ring->own());
  return {};
}

// ringOther(ring)
JsValue DocumentSession::ring_other(JSCContext*, const Arguments& arguments) {
  if (OpenedRegion* ring = find_stream(arguments)) RegionAccess::ring(ring->own());
  return {};
}

// otherLives(ring, cell)
JsValue DocumentSession::other_lives(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* ring = find_stream(arguments);
  const auto cell = arguments.number(1);
  const bool lives = ring && cell && *cell < format::max_cells &&
                     RegionAccess::has_will(ring->others(), static_cast<std::uint32_t>(*cell));
  return JsValue(jsc_value_new_boolean(context, lives ? TRUE : FALSE));
}

}  // namespace memio::webext

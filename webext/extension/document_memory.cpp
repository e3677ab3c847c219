// SPDX-License-Identifier: MIT
// How a DocumentSession lays the memory of regions under buffers of JavaScript's, for the runtime.

#include <algorithm>
#include <array>

#include "document_session.h"
#include "memio/region_format.h"
#include "open_region.h"

namespace memio::webext {

namespace {

StoreNote* note_at(std::byte* memory) {
  if (!memory || reinterpret_cast<std::uintptr_t>(memory) % alignof(StoreNote) != 0) return nullptr;
  return new (memory) StoreNote(0);
}

Alias::Part slots_of(const RegionMemory& memory) {
  return {memory.region_fd(), memory.geometry().directory_offset(), 0, memory.access()};
}

// The runtime only reads the directory, so it has a private mapping even where the region may be written.
Alias::Part directory_of(const RegionMemory& memory) {
  return {memory.region_fd(), page_size(), memory.geometry().directory_offset(), Access::read};
}

Alias::Part table_of(const RegionMemory& memory, std::uint32_t cells) {
  return {memory.leases_fd(), format::lease_table_size(cells), 0, Access::write};
}

}  // namespace

// alias(handle, data, control)
JsValue DocumentSession::alias(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened) return to_js(context, closed_handle());
  if (opened->slots)
    return to_js(context, Error{Errc::misuse, 0, "the region's memory is laid under a buffer already"});
  const RegionMemory& memory = RegionAccess::memory(opened->region);

  // Of the lease table only what leads up to the own cell.
  const std::array control_parts = {directory_of(memory), table_of(memory, memory.cell_index() + 1)};
  auto control = Alias::make({.buffer = arguments.at(2)}, control_parts);
  if (!control) return to_js(context, control.error());
  const std::size_t note_offset = control->offset() + control->size();
  StoreNote* note = note_at(control->own_memory(note_offset, sizeof(StoreNote)));
  if (!note) return to_js(context, Error{Errc::invalid_parameter, 0, "the control buffer has no room for a note"});
  const Alias::Part slots = slots_of(memory);
  auto data = Alias::make({.buffer = arguments.at(1)}, {&slots, 1}, note);
  if (!data) return to_js(context, data.error());

  const Json offsets = {
      {"dataOffset", data->offset()}, {"controlOffset", control->offset()}, {"storedOffset", note_offset}};
  opened->control.emplace(std::move(*control));
  opened->note = note;
  opened->slots.emplace(std::move(*data));
  return to_js(context, offsets);
}

// share(handle, bytes, head, note): for a worker, which looks at the whole region through one buffer.
JsValue DocumentSession::share_memory(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened) return to_js(context, closed_handle());
  if (opened->slots)
    return to_js(context, Error{Errc::misuse, 0, "the region's memory is laid under a buffer already"});
  const RegionMemory& memory = RegionAccess::memory(opened->region);
  const auto head = arguments.number(2);
  const auto note_offset = arguments.number(3);
  if (!head || !note_offset || *note_offset + sizeof(StoreNote) > *head)
    return to_js(context, Error{Errc::invalid_parameter, 0, "the note is a word of the buffer's head"});

  const std::array parts = {slots_of(memory), directory_of(memory), table_of(memory, memory.cell_index() + 1)};
  std::byte* start = Alias::memory_of(arguments.at(1), *head);
  StoreNote* note = start ? note_at(start + *note_offset) : nullptr;
  if (!note)
    return to_js(context, Error{Errc::invalid_parameter, 0, "there is no buffer, or it has no room for a head"});
  auto alias = Alias::make({.buffer = arguments.at(1), .from = *head}, parts, note);
  if (!alias) return to_js(context, alias.error());
  opened->note = note;
  opened->slots.emplace(std::move(*alias));
  return to_js(context, opened->slots->offset());
}

// layStream(ring, bytes, head, note, buffers...): the regions of `buffers` become part of the ring's.
JsValue DocumentSession::lay_stream(JSCContext* context, const Arguments& arguments) {
  constexpr unsigned first_buffer = 4;
  constexpr std::size_t most_buffers = 64;
  OpenedRegion* ring = find(arguments);
  if (!ring || ring->control) return to_js(context, closed_handle());
  std::vector<std::uint64_t> handles;
  for (unsigned i = first_buffer; !arguments.absent(i); ++i) {
    const auto handle = arguments.number(i);
    const auto found = handle ? regions_.find(*handle) : regions_.end();
    const bool usable = found != regions_.end() && &found->second != ring && !found->second.slots &&
                        std::ranges::count(handles, *handle) == 0;
    if (!usable) return to_js(context, closed_handle());
    handles.push_back(*handle);
  }
  if (ring->buffers.size() + handles.size() > most_buffers)
    return to_js(context, Error{Errc::misuse, 0, "a stream has at most 64 buffers"});
  const auto head = arguments.number(2);
  const auto note_offset = arguments.number(3);
  if (!head || !note_offset || *note_offset + sizeof(StoreNote) > *head)
    return to_js(context, Error{Errc::invalid_parameter, 0, "the note is a word of the buffer's head"});
  std::byte* start = Alias::memory_of(arguments.at(1), *head);
  StoreNote* note = start ? note_at(start + *note_offset) : nullptr;
  if (!note)
    return to_js(context, Error{Errc::invalid_parameter, 0, "there is no buffer, or it has no room for a head"});

  for (const auto handle : handles) ring->buffers.push_back(std::move(regions_.extract(handle).mapped().region));
  std::vector<Alias::Part> parts = {slots_of(RegionAccess::memory(ring->region))};
  for (auto& buffer : ring->buffers) parts.push_back(slots_of(RegionAccess::memory(buffer)));
  auto alias = Alias::make({.buffer = arguments.at(1), .from = *head}, parts, note);
  if (!alias) return to_js(context, alias.error());
  ring->note = note;
  ring->slots.emplace(std::move(*alias));
  return to_js(context, ring->slots->offset());
}

// mapInto(handle, memory, bytes, offset)
JsValue DocumentSession::map_into(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened || !opened->note) return to_js(context, closed_handle());
  const auto offset = arguments.number(3);
  if (!offset || *offset % page_size() != 0)
    return to_js(context, Error{Errc::misuse, 0,
                                "a region is laid at a multiple of " + std::to_string(page_size()) + " bytes, not at " +
                                    describe(arguments.at(3))});
  const Alias::Part slots = slots_of(RegionAccess::memory(opened->region));
  auto alias =
      Alias::make({.buffer = arguments.at(2), .from = *offset, .owner = arguments.at(1)}, {&slots, 1}, opened->note);
  if (!alias) return to_js(context, alias.error());
  if (alias->offset() != *offset)
    return to_js(context, Error{Errc::misuse, 0, "this memory does not start on a page boundary"});
  const std::uint64_t mapping = ++last_mapping_;
  opened->mappings.try_emplace(mapping, std::move(*alias));
  return to_js(context, mapping);
}

// unmap(handle, mapping)
JsValue DocumentSession::unmap(JSCContext*, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  const auto mapping = arguments.number(1);
  if (opened && mapping) opened->mappings.erase(*mapping);
  return {};
}

// window(handle, offset, length)
JsValue DocumentSession::window(JSCContext* context, const Arguments& arguments) {
  const OpenedRegion* opened = find(arguments);
  if (!opened || !opened->slots) return to_js(context, closed_handle());
  const auto offset = arguments.number(1);
  const auto length = arguments.number(2);
  if (!offset || !length)
    return to_js(context, Error{Errc::misuse, 0, "an offset and a length are whole numbers of bytes"});
  auto window = opened->slots->window(context, *offset, *length,
                                      [weak = weak_from_this(), handle = arguments.number(0).value_or(0)] {
                                        if (const auto session = weak.lock()) session->window_gone(handle);
                                      });
  if (!window) return to_js(context, window.error());
  return std::move(*window);
}

void DocumentSession::window_gone(std::uint64_t handle) noexcept {
  const JsValue target = regions_.contains(handle) ? handlers() : JsValue();
  if (!target) return;
  const JsValue result(jsc_value_object_invoke_method(target.get(), "windowGone", G_TYPE_DOUBLE,
                                                      static_cast<double>(handle), G_TYPE_NONE));
  jsc_context_clear_exception(jsc_value_get_context(target.get()));
}

// mend(handle)
JsValue DocumentSession::mend(JSCContext* context, const Arguments& arguments) {
  OpenedRegion* opened = find(arguments);
  if (!opened || !opened->slots) return to_js(context, closed_handle());
  // First: what is stored while the files are being mapped counts as stored afterwards.
  opened->note->store(0);
  auto mended = opened->slots->mend();
  for (auto& [number, alias] : opened->mappings)
    if (mended) mended = alias.mend();
  if (mended) return {};
  opened->note->store(1);
  return to_js(context, mended.error());
}

}  // namespace memio::webext

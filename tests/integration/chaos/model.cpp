// SPDX-License-Identifier: MIT
#include "model.h"

#include <set>

namespace memio::test {

using protocol::Lifetime;

std::shared_ptr<Model::Region> Model::find(const std::string& name) const {
  const auto found = named_.find(name);
  return found == named_.end() ? nullptr : found->second;
}

std::vector<Model::HandleId> Model::handles_of(ActorId actor) const {
  std::vector<HandleId> found;
  for (const auto& [id, handle] : handles_)
    if (handle.actor == actor) found.push_back(id);
  return found;
}

void Model::created(ActorId actor, HandleId handle, Region region) {
  region.creator = actor;
  region.creator_handle = handle;
  const auto shared = std::make_shared<Region>(std::move(region));
  named_[shared->name] = shared;
  opened(actor, handle, shared, true);
}

void Model::opened(ActorId actor, HandleId handle, const std::shared_ptr<Region>& region, bool write) {
  ++region->handles;
  if (region->lifetime == Lifetime::linger) region->fading = false;
  handles_[handle] = {actor, region, write};
}

void Model::closed(HandleId handle) {
  const auto region = handles_.at(handle).region;
  std::erase_if(leases_, [&](const auto& lease) {
    if (lease.second.handle != handle) return false;
    region->lease.reset();
    return true;
  });
  if (region->begun == handle) {
    region->begun.reset();
    region->half_written = region->slots == 1;
  }
  if (region->creator_handle == handle) region->creator_handle = 0;
  if (--region->handles == 0 && region->lifetime == Lifetime::linger) region->fading = true;
  handles_.erase(handle);
}

void Model::unname(const std::shared_ptr<Region>& region) {
  if (!region->named) return;
  region->named = false;
  named_.erase(region->name);
}

void Model::removed(const std::string& name) { unname(find(name)); }

void Model::written(HandleId handle, std::uint64_t seed) {
  Region& region = *handles_.at(handle).region;
  region.begun.reset();
  region.half_written = false;
  region.version = seed;
  ++region.sequence;
}

void Model::leased(LeaseId lease, HandleId handle) {
  Region& region = *handles_.at(handle).region;
  region.lease = lease;
  leases_[lease] = {handle, region.sequence};
}

void Model::released(LeaseId lease) {
  handles_.at(leases_.at(lease).handle).region->lease.reset();
  leases_.erase(lease);
}

void Model::emitted(std::uint64_t messages) {
  for (auto& [actor, count] : heard_) count += messages;
}

void Model::count_anew() {
  for (auto& [actor, count] : heard_) count = 0;
}

void Model::ended(ActorId actor) {
  heard_.erase(actor);
  std::erase_if(commands_, [&](const auto& each) { return each.second == actor; });
  for (const auto handle : handles_of(actor)) closed(handle);
  std::vector<std::shared_ptr<Region>> of_session;
  for (const auto& [name, region] : named_) {
    if (region->creator != actor) continue;
    region->creator = 0;
    if (region->lifetime == Lifetime::session) of_session.push_back(region);
  }
  for (const auto& region : of_session) unname(region);
}

void Model::restarted() {
  // A creator proves that it is one by the handle that it got when it made the region.
  for (const auto& [name, region] : named_)
    if (region->lifetime == Lifetime::session && region->creator_handle == 0) region->fading = true;
}

std::string Model::difference(const Region& expected, const protocol::Region& found) {
  const auto differ = [&](const char* what, auto wanted, auto is) {
    return expected.name + ": " + what + " is " + std::to_string(is) + ", not " + std::to_string(wanted) + "\n";
  };
  std::string text;
  if (found.generation != expected.generation) text += differ("generation", expected.generation, found.generation);
  if (found.sequence != expected.sequence) text += differ("sequence", expected.sequence, found.sequence);
  if (found.handles != expected.handles) text += differ("handles", expected.handles, found.handles);
  if (found.capacity != expected.capacity) text += differ("capacity", expected.capacity, found.capacity);
  if (found.slots != expected.slots) text += differ("slots", expected.slots, found.slots);
  if (found.exclusive != expected.exclusive) text += differ("exclusive", expected.exclusive, found.exclusive);
  if (found.lifetime != expected.lifetime)
    text += differ("lifetime", static_cast<int>(expected.lifetime), static_cast<int>(found.lifetime));
  return text;
}

std::string Model::compare(const std::vector<protocol::Region>& listed) {
  std::string text;
  std::set<std::string> found;
  for (const auto& region : listed) {
    found.insert(region.name);
    const auto expected = find(region.name);
    text += expected ? difference(*expected, region) : region.name + ": is there, and should not\n";
  }
  std::vector<std::shared_ptr<Region>> gone;
  for (const auto& [name, region] : named_) {
    if (found.contains(name)) continue;
    if (region->fading)
      gone.push_back(region);
    else
      text += name + ": has gone\n";
  }
  for (const auto& region : gone) unname(region);
  return text;
}

}  // namespace memio::test

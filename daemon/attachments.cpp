// SPDX-License-Identifier: MIT
#include "attachments.h"

#include <algorithm>
#include <string>

namespace memio::broker {

namespace {

constexpr std::size_t fds_of_region = 3;

Attachment take(const Registry& registry, UniqueFd fd) {
  auto region = registry.find_by_memory(fd.get());
  if (!region) return {.region = nullptr, .fd = std::move(fd)};
  const auto access = region->access_by(fd.get());
  return {.region = std::move(region), .access = access, .fd = {}};
}

}  // namespace

std::size_t Attachments::fd_count() const noexcept {
  std::size_t count = 0;
  for (const auto& item : items) count += item.region ? fds_of_region : 1;
  return count;
}

Result<Attachments> take_attachments(const Registry& registry, Account& sender,
                                     const std::optional<std::vector<std::uint64_t>>& places,
                                     std::vector<UniqueFd>& fds) {
  Attachments taken;
  const std::size_t count = places ? places->size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = (*places)[i];
    if (place >= fds.size() || !fds[place].valid())
      return fail(Errc::invalid_parameter, "fileDescriptors[" + std::to_string(i) + "]");
    taken.items.push_back(take(registry, std::move(fds[place])));
  }
  if (count < fds.size())
    return fail(Errc::unexpected_file_descriptors, std::to_string(fds.size()) +
                                                       " file descriptors came with the message, but fileDescriptors "
                                                       "names " +
                                                       std::to_string(count) + "; they were closed");
  const auto regions = static_cast<std::size_t>(
      std::ranges::count_if(taken.items, [](const Attachment& item) { return item.region != nullptr; }));
  if (regions > most_attached_regions || taken.fd_count() > most_attached_fds)
    return fail(Errc::limit_exceeded, "at most " + std::to_string(most_attached_regions) + " regions, and " +
                                          std::to_string(most_attached_fds) +
                                          " descriptors in all, three for a region, go with one value");
  auto charge = sender.charge(Resource::fds, count - regions);
  if (!charge) return fail(std::move(charge.error()));
  taken.fds = std::move(*charge);
  return taken;
}

}  // namespace memio::broker

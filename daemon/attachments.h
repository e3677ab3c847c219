// SPDX-License-Identifier: MIT
#pragma once

// What goes beside the value of a call or an answer: regions, which the receiver is to have open, and other
// descriptors, which are passed on as they are.
//
// A descriptor that is a region's memory file is recognised by the file and not kept: the receiver gets descriptors of
// its own from the region. Until it does, what waits are shared pointers and the others' descriptors, which are charged
// to the sender.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "account.h"
#include "memio/unique_fd.h"
#include "region.h"
#include "registry.h"

namespace memio::broker {

// The most regions that go with one value, and the most descriptors on the way to its receiver.
inline constexpr std::size_t most_attached_regions = 5;
inline constexpr std::size_t most_attached_fds = 16;

struct Attachment {
  std::shared_ptr<Region> region;  // null: it is `fd`
  Access access = Access::read;
  UniqueFd fd;
};

struct Attachments {
  std::vector<Attachment> items;
  Charge fds;  // of those that are kept here

  // How many descriptors the receiver is sent.
  [[nodiscard]] std::size_t fd_count() const noexcept;
};

// Takes all descriptors of a message, of which `places` says the order. Errors: invalid_parameter, its message the
// field that names a place where no descriptor is, or one that is taken; unexpected_file_descriptors; limit_exceeded.
Result<Attachments> take_attachments(const Registry& registry, Account& sender,
                                     const std::optional<std::vector<std::uint64_t>>& places,
                                     std::vector<UniqueFd>& fds);

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::broker {

// A listening socket at `path`, mode 0600. One that a dead process left behind is replaced. Where somebody listens, or
// something else is, the error says who or what. `make_directory` creates the parent, mode 0700, if it is not there.
Result<UniqueFd> listen_at(const std::string& path, bool make_directory);

}  // namespace memio::broker

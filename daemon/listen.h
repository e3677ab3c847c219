// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <string>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::broker {

// A listening socket at `path`, for its owner only unless `mode` says otherwise. One that a dead process left behind is
// replaced. Where somebody listens, or something else is, the error says who or what. `make_directory` creates the
// parent, mode 0700, if it is not there.
Result<UniqueFd> listen_at(const std::string& path, bool make_directory, mode_t mode = S_IRUSR | S_IWUSR);

}  // namespace memio::broker

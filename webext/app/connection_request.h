// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "memio/protocol.h"
#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::webext {

// Asks memiod for a connection that may do what `grants` allow, from the default main context and without ever
// blocking. `done` is called exactly once, later or from within this function, at the latest after `seconds`. Errors:
// disconnected if memiod is not there; timed_out; what memiod says.
void request_connection(const std::string& socket_path, std::vector<protocol::Grant> grants, unsigned seconds,
                        std::function<void(Result<UniqueFd>)> done);

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace memio::broker {

// Tells the service manager of `state`, as sd_notify(3) does, but never waits. sd_notify() waits, and its caller stands
// still, while the manager has as much unread as its socket takes. False: it has, so it was not told; try again later.
bool notify_without_waiting(const std::string& state);

}  // namespace memio::broker

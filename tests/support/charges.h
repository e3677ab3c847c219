// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "memio/client.h"

namespace memio::test {

// What there is and what is charged, of all users together, as Metrics tells it: by the metrics' names without
// `memio_`, such as `sessions` and `user_handles`. What there is none of is left out, so two of them can be compared,
// and be read.
using Charges = std::map<std::string, std::uint64_t>;
Charges charges_by(Client& asker);

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

// Whole files as streams, larger than memory: `put --stream` and `get --stream` meet under a name, whichever comes
// first.

#include "commands.h"

namespace memio::ctl {

Result<void> put_stream(Client& client, const PutOptions& options, Output& output);
Result<void> get_stream(Client& client, const GetOptions& options, Output& output);

}  // namespace memio::ctl

// SPDX-License-Identifier: MIT
#pragma once

#include <sys/un.h>

#include <string>

#include "memio/result.h"

namespace memio {

// Where memiod listens: $MEMIO_SOCKET, else $XDG_RUNTIME_DIR/memio/io.memio. A variable that is empty counts as not
// set. Error: system, if neither is set, or if XDG_RUNTIME_DIR is relative, which its specification forbids.
Result<std::string> default_socket_path();

// The address of a Unix socket. Error: system, if its path does not fit into one.
Result<sockaddr_un> socket_address(const std::string& path);

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

// What an administrator can set: memiod.conf(5). Files are read in an order in which later ones win, value by value.

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker_limits.h"
#include "memio/protocol.h"

namespace memio::broker {

// What the connections of each user may do. The user that memiod runs as, and root, may do everything unless they are
// named here; others only what is granted to them here.
using Policy = std::map<uid_t, std::vector<protocol::Grant>>;

struct Config {
  Limits limits;
  Policy policy;
  mode_t socket_mode = 0600;  // of a socket that memiod makes itself
};

// Adds what a file's text says to `config`, which is as it was after an error. `name` is what errors call the file;
// their message is "NAME:LINE:COLUMN: what is wrong and what was expected".
Result<void> read_config(std::string_view text, const std::string& name, Config& config);

// The files that are read, in their order: /etc/memio/memiod.conf, $XDG_CONFIG_HOME/memio/memiod.conf, then what is in
// memiod.conf.d beside each, by name; of two of one name there, only the user's. Error: system, if it cannot be seen
// what is there.
Result<std::vector<std::string>> default_config_files();
Result<std::vector<std::string>> config_files_in(const std::vector<std::string>& directories);

// Reads files. Each must be there. Error: as read_config(), or system.
Result<Config> load_config(const std::vector<std::string>& files);

}  // namespace memio::broker

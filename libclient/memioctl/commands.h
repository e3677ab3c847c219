// SPDX-License-Identifier: MIT
#pragma once

// What memioctl's commands do. Each prints its result and returns an error for main() to report.

#include <cstdint>
#include <optional>
#include <string>

#include "memio/client.h"
#include "output.h"

namespace memio::ctl {

struct CreateOptions {
  std::string name;
  RegionOptions region{.lifetime = Lifetime::persistent};
};
struct PutOptions {
  std::string name;
  std::string file;  // "-" is standard input
  std::optional<std::uint64_t> version;
  bool create = false;
  bool stream = false;  // to one who gets it, as a stream
};
struct GetOptions {
  std::string name;
  std::string file = "-";  // "-" is standard output
  bool stream = false;     // from one who puts it, as a stream
};
struct WatchOptions {
  std::string pattern;
  bool versions = false;
  std::optional<std::uint64_t> count;  // stop after that many events, `present` and `ready` not counted
};

Result<void> create(Client& client, const CreateOptions& options, Output& output);
Result<void> list(Client& client, const std::string& pattern, Output& output);
Result<void> stat(Client& client, const std::string& name, Output& output);
Result<void> put(Client& client, const PutOptions& options, Output& output);
Result<void> get(Client& client, const GetOptions& options, Output& output);
Result<void> watch(Client& client, const WatchOptions& options, Output& output);
Result<void> sessions(Client& client, Output& output);
Result<void> metrics(Client& client, bool open_metrics, Output& output);
Result<void> shrink(Client& client, const std::string& name, Output& output);
Result<void> remove(Client& client, const std::string& name);

}  // namespace memio::ctl

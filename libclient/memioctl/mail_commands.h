// SPDX-License-Identifier: MIT
#pragma once

// memioctl's commands about commands and messages.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memio/client.h"
#include "output.h"

namespace memio::ctl {

struct CallArguments {
  std::string name;
  std::string json = "null";  // "-": what is on standard input
  std::optional<std::uint64_t> timeout;
};
struct HandleArguments {
  std::string name;
  std::vector<std::string> program;
  std::optional<std::uint64_t> count;  // stop after so many calls
};
struct EmitArguments {
  std::string topic;
  std::string json = "null";  // "-": what is on standard input
};
struct ListenArguments {
  std::string pattern = "**";
  std::optional<std::uint64_t> count;  // stop after so many messages
};

Result<void> call(Client& client, const CallArguments& arguments, Output& output);
Result<void> handle(Client& client, const HandleArguments& arguments, Output& output);
Result<void> emit(Client& client, const EmitArguments& arguments);
Result<void> listen(Client& client, const ListenArguments& arguments, Output& output);

}  // namespace memio::ctl

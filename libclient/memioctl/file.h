// SPDX-License-Identifier: MIT
#pragma once

// Files as the command line names them: "-" is standard input or output.

#include <span>
#include <string>

#include "memio/result.h"
#include "memio/unique_fd.h"

namespace memio::ctl {

Result<UniqueFd> open_file(const std::string& path, int flags);

// What is there, at most as much as `to` holds; 0 at the end.
Result<std::size_t> read_some(int fd, std::span<std::byte> to, const std::string& path);

// Fills `to` from a file, as far as it goes. Returns how much there was.
Result<std::size_t> read_full(int fd, std::span<std::byte> to, const std::string& path);

Result<void> write_full(int fd, std::span<const std::byte> from, const std::string& path);

// Some file systems, over a network for instance, say only now that there was no room for what was written.
Result<void> close_file(UniqueFd file, const std::string& path);

// What errors call a file that is written to.
[[nodiscard]] inline std::string output_name(const std::string& path) { return path == "-" ? "standard output" : path; }

}  // namespace memio::ctl

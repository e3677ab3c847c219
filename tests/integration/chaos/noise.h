// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace memio::test {

// Does something to memiod that no client should, on a connection of its own, which then ends: messages that are
// broken, cut off, spoiled, too long or endless; descriptors that nothing asked for; answers that nobody reads.
void make_noise(const std::string& socket_path, std::uint64_t seed);

}  // namespace memio::test

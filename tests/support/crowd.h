// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/raw_connection.h"

namespace memio::test {

// How many regions a memiod that is started from now on can have beside so many sessions: `wanted`, if the limit of
// descriptors allows that or may be raised, as root may; else fewer.
std::uint64_t room_for_regions(std::uint64_t wanted, std::uint64_t sessions);

// Sessions of one memiod, with as many regions each; both end with it.
class Crowd {
 public:
  // Throws if memiod refuses one.
  Crowd(const std::string& socket_path, std::uint64_t sessions, std::uint64_t regions_each);
  // The first of all regions; the others are counted on from there: region1, region2.
  static constexpr const char* first_region = "region0";

 private:
  std::vector<RawConnection> sessions_;
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "event_loop.h"
#include "memio/client.h"

namespace memio::demo {

// What stands before the words in the payload of demo/roads, as page/roads.js reads it.
struct RoadsHeader {
  static constexpr double layout_number = 1;

  double layout = layout_number;
  double round = 0;         // which request this answers
  double published_ms = 0;  // CLOCK_REALTIME
  double checksum = 0;      // all 32-bit words after the header, xored
};

// 100 MiB, published anew on every request, to be compared with the same bytes on another road.
//
// The page asks by publishing to demo/roads-request.
class Roads {
 public:
  static constexpr const char* region_name = "demo/roads";
  static constexpr const char* request_name = "demo/roads-request";
  static constexpr std::size_t size = std::size_t{100} * 1024 * 1024;
  static constexpr std::size_t header_size = 64;

  // Creates both regions. `request_token` comes back from Client::dispatch when on_request() is to be called.
  static Result<std::unique_ptr<Roads>> create(Client& client, EventLoop& loop, Token request_token);
  Roads(const Roads&) = delete;
  Roads& operator=(const Roads&) = delete;

  void on_request();

 private:
  Roads(EventLoop& loop, Region region, Region requests)
      : loop_(loop), region_(std::move(region)), requests_(std::move(requests)) {}
  bool fill_step();

  EventLoop& loop_;
  Region region_;
  Region requests_;
  std::uint64_t round_ = 0;

  // While a payload is being filled:
  std::span<std::byte> payload_;
  std::size_t filled_ = 0;
  std::uint64_t random_ = 0;
  std::uint64_t checksum_ = 0;
};

}  // namespace memio::demo

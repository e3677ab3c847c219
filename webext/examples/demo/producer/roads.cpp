// SPDX-License-Identifier: MIT
#include "roads.h"

#include <glib.h>

#include <algorithm>
#include <cstring>

namespace memio::demo {

namespace {

constexpr std::size_t step_size = std::size_t{512} * 1024;

void complain(const Error& error) { g_printerr("memio-demo-producer: demo/roads: %s\n", error.text().c_str()); }

}  // namespace

Result<std::unique_ptr<Roads>> Roads::create(Client& client, EventLoop& loop, Token request_token) {
  // Two slots are enough for one reader, and half the memory of four.
  auto region = client.create(region_name, RegionOptions{.capacity = size, .slots = 2});
  if (!region) return fail(region.error());
  auto requests = client.create(request_name, RegionOptions{.capacity = 64});
  if (!requests) return fail(requests.error());
  if (auto subscribed = requests->subscribe(request_token); !subscribed) return fail(subscribed.error());
  return std::unique_ptr<Roads>(new Roads(loop, std::move(*region), std::move(*requests)));
}

void Roads::on_request() {
  if (!payload_.empty()) return;  // the one that is being filled answers this as well
  auto payload = region_.begin(size);
  if (!payload) return complain(payload.error());
  round_ = requests_.sequence();
  payload_ = *payload;
  filled_ = header_size;
  random_ = 0x9E3779B97F4A7C15 + round_;
  checksum_ = 0;
  loop_.work([this] { return fill_step(); });
}

bool Roads::fill_step() {
  const std::size_t end = std::min(filled_ + step_size, payload_.size());
  for (; filled_ < end; filled_ += sizeof random_) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    checksum_ ^= random_;
    std::memcpy(payload_.data() + filled_, &random_, sizeof random_);
  }
  if (filled_ < payload_.size()) return true;

  const auto folded = static_cast<std::uint32_t>(checksum_ ^ (checksum_ >> 32));
  const RoadsHeader header{
      .round = static_cast<double>(round_), .published_ms = wall_clock_ms(), .checksum = static_cast<double>(folded)};
  std::memcpy(payload_.data(), &header, sizeof header);
  payload_ = {};
  if (auto sequence = region_.commit(); !sequence) complain(sequence.error());
  return false;
}

}  // namespace memio::demo

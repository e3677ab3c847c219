// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <span>

#include "memio/command.h"

namespace memio {

struct Attachment::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  std::optional<Region> region;  // one that came
  UniqueFd fd;                   // otherwise
  std::span<const std::byte> mapping;
};

}  // namespace memio

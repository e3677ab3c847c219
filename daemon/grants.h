// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "memio/protocol.h"
#include "memio/result.h"

namespace memio::broker {

using protocol::Grant;
using protocol::Right;

// What a session may do with which names. Rights are only ever narrowed: each level of scoped connections has a list of
// its own, and what is allowed must be allowed on every level.
//
// A region whose name a session has no right to does not exist for it; nor does a command that it may not invoke.
class Grants {
 public:
  // Everything: what a connection to the socket has.
  Grants() = default;

  // These rights and, besides, only what `grants` allow. Error: invalid_pattern.
  [[nodiscard]] Result<Grants> narrowed(const std::vector<Grant>& grants) const;

  // How many patterns have to be looked at, on all levels.
  [[nodiscard]] std::size_t count() const noexcept { return grants_.size() + (above_ ? above_->count() : 0); }
  [[nodiscard]] bool allows(std::string_view name, Right right) const noexcept;
  // Whether it may do everything with every name.
  [[nodiscard]] bool everything() const noexcept { return everything_; }
  // Whether a region of the name exists for this session: it has any right to it that is about regions.
  [[nodiscard]] bool knows(std::string_view name) const noexcept;

 private:
  using Rights = std::uint32_t;  // a bit a right
  struct Granted {
    std::string pattern;
    Rights rights;
  };
  static constexpr Rights bit(Right right) noexcept { return Rights{1} << static_cast<unsigned>(right); }
  [[nodiscard]] Rights rights_on(std::string_view name, Rights wanted) const noexcept;

  std::shared_ptr<const Grants> above_;
  std::vector<Granted> grants_;
  bool everything_ = true;
};

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "ledger.h"
#include "registry.h"

namespace memio::broker {

// A registry and somebody who pays for what is made in it.
class TestRegistry : public Registry {
 public:
  explicit TestRegistry(const Limits& limits)
      : Registry(limits),
        payer_(std::make_shared<Account>(Account::Kind::connection, ::geteuid(), limits.connection, nullptr)) {}
  using Registry::create;
  Result<std::shared_ptr<Region>> create(const protocol::CreateParameters& parameters) {
    return create(parameters, *payer_);
  }
  using Registry::adopt;
  Result<std::shared_ptr<Region>> adopt(const protocol::AttachParameters& parameters, Region::Fds fds) {
    return adopt(parameters, std::move(fds), *payer_, [](const auto&) { return Result<void>(); });
  }
  using Registry::restore;
  Result<std::shared_ptr<Region>> restore(const RegionRecord& record, Region::Fds fds,
                                          const std::function<void(Region&)>& before_added) {
    return restore(record, std::move(fds), *payer_, before_added);
  }
  [[nodiscard]] Account& payer() { return *payer_; }

 private:
  std::shared_ptr<Account> payer_;
};

}  // namespace memio::broker

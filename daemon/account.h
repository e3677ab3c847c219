// SPDX-License-Identifier: MIT
#pragma once

// Who pays for what memiod gives out.
//
// Each user has an account; below it each connection has one, and below that each scoped connection that was made
// through it. What a session takes is charged to its own account and to all above it, and each of them has a quota. So
// a page cannot use up what the application has that made its connection, nor a program what its user has. A Charge is
// what was charged; its end is the refund. An account lives as long as a charge to it, so a region outlives the session
// that pays for it.
//
// Quotas are looked at when something is charged. If one becomes smaller, nobody loses what they have.

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "memio/result.h"

namespace memio::broker {

enum class Resource : std::uint8_t {
  regions,       // that it created and that still have memory
  bytes,         // the sizes of these, touched or not
  handles,       // that are open
  fds,           // sent or about to be, and not yet received
  queued_bytes,  // of answers that the peer has not read
  connections,
  watches,
  commands,    // that it handles
  listens,     // patterns of topics that it listens to
  calls,       // that it made and that are not answered
  mail_bytes,  // of its calls, of the answers to them and of messages to it, until they are told
};
inline constexpr std::size_t resource_count = 11;

// The most that an account may have of each.
struct Quota {
  std::uint64_t regions = 0;
  std::uint64_t bytes = 0;
  std::uint64_t handles = 0;
  std::uint64_t fds = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t connections = 0;
  std::uint64_t watches = 0;
  std::uint64_t commands = 0;
  std::uint64_t listens = 0;
  std::uint64_t calls = 0;
  std::uint64_t mail_bytes = 0;
  std::uint64_t messages_per_second = 0;

  [[nodiscard]] std::uint64_t of(Resource resource) const noexcept;
};

class Charge;

class Account : public std::enable_shared_from_this<Account> {
 public:
  enum class Kind : std::uint8_t { user, connection, scoped };
  using Clock = std::chrono::steady_clock;

  // `quota` is borrowed; it may change. `above` is null for a user's account.
  Account(Kind kind, uid_t uid, const Quota& quota, std::shared_ptr<Account> above)
      : kind_(kind), uid_(uid), quota_(quota), above_(std::move(above)) {}
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  [[nodiscard]] uid_t uid() const noexcept { return uid_; }
  // The account of its user.
  [[nodiscard]] std::shared_ptr<Account> of_user();
  [[nodiscard]] std::uint64_t used(Resource resource) const noexcept {
    return used_[static_cast<std::size_t>(resource)];
  }
  [[nodiscard]] const Quota& quota() const noexcept { return quota_; }

  // Error: limit_exceeded; it says whose quota it is, how much, and where it is set.
  Result<Charge> charge(Resource resource, std::uint64_t amount = 1);
  // For what is there already, and is not lost over a quota that has become smaller.
  Charge charge_anyway(Resource resource, std::uint64_t amount);

  // A message was handled.
  void count_message(Clock::time_point now) noexcept;
  // How long to wait for the next one, so that there are no more in a second than the quota says. A second's worth may
  // come at once.
  [[nodiscard]] Clock::duration wait_for_message(Clock::time_point now) const noexcept;

 private:
  friend class Charge;
  [[nodiscard]] Result<void> check(Resource resource, std::uint64_t amount) const;
  void add(Resource resource, std::uint64_t amount) noexcept;
  void subtract(Resource resource, std::uint64_t amount) noexcept;

  Kind kind_;
  uid_t uid_;
  const Quota& quota_;
  std::shared_ptr<Account> above_;
  std::array<std::uint64_t, resource_count> used_{};
  Clock::time_point messages_until_{};  // when as many messages as there were would be due, evenly spaced
};

// So much of a resource, on an account.
class Charge {
 public:
  Charge() noexcept = default;
  Charge(Charge&& other) noexcept
      : account_(std::move(other.account_)), resource_(other.resource_), amount_(std::exchange(other.amount_, 0)) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(account_, other.account_);
    std::swap(resource_, other.resource_);
    std::swap(amount_, other.amount_);
    return *this;
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  ~Charge() {
    if (account_) account_->subtract(resource_, amount_);
  }

  // Whether it is one: made by an account, and not moved from.
  [[nodiscard]] bool valid() const noexcept { return account_ != nullptr; }
  [[nodiscard]] std::uint64_t amount() const noexcept { return amount_; }
  // Makes it larger or smaller. Only more can fail: limit_exceeded.
  Result<void> resize(std::uint64_t amount);

 private:
  friend class Account;
  Charge(std::shared_ptr<Account> account, Resource resource, std::uint64_t amount) noexcept
      : account_(std::move(account)), resource_(resource), amount_(amount) {}

  std::shared_ptr<Account> account_;
  Resource resource_ = Resource::regions;
  std::uint64_t amount_ = 0;
};

// The accounts of users. One is there as long as anything is charged to it.
class Accounts {
 public:
  // `quota` is borrowed, for each user.
  explicit Accounts(const Quota& quota) : quota_(quota) {}
  [[nodiscard]] std::shared_ptr<Account> of_user(uid_t uid);
  // Those that there are now.
  [[nodiscard]] std::map<uid_t, std::shared_ptr<Account>> all() const;

 private:
  const Quota& quota_;
  std::map<uid_t, std::weak_ptr<Account>> accounts_;
};

}  // namespace memio::broker

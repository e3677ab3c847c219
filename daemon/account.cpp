// SPDX-License-Identifier: MIT
#include "account.h"

#include <algorithm>
#include <string>

namespace memio::broker {

namespace {

// How people, and memiod.conf, call each resource.
struct ResourceWords {
  const char* noun;
  const char* key;
  const char* remedy;
};
constexpr std::array<ResourceWords, resource_count> resource_words = {{
    {"regions", "regions", "remove some"},
    {"bytes of regions", "bytes", "remove some regions"},
    {"open handles", "handles", "close some"},
    {"file descriptors on their way to it", "fds", "receive some"},
    {"bytes of answers that it has not read", "queuedBytes", "read them"},
    {"connections", "connections", "close some"},
    {"watches", "watches", "close some"},
    {"commands that it handles", "commands", "handle fewer"},
    {"patterns that it listens to", "listens", "listen to fewer"},
    {"calls that are not answered", "calls", "wait for some"},
    {"bytes of calls, answers and messages on their way", "mailBytes", "wait for some, or put bytes into regions"},
}};

struct KindWords {
  const char* subject;
  const char* key;
};
KindWords words(Account::Kind kind) {
  switch (kind) {
    case Account::Kind::user: return {"this user", "user"};
    case Account::Kind::connection: return {"this connection", "connection"};
    case Account::Kind::scoped: return {"this scoped connection", "scoped"};
  }
  return {"", ""};
}

}  // namespace

std::uint64_t Quota::of(Resource resource) const noexcept {
  switch (resource) {
    case Resource::regions: return regions;
    case Resource::bytes: return bytes;
    case Resource::handles: return handles;
    case Resource::fds: return fds;
    case Resource::queued_bytes: return queued_bytes;
    case Resource::connections: return connections;
    case Resource::watches: return watches;
    case Resource::commands: return commands;
    case Resource::listens: return listens;
    case Resource::calls: return calls;
    case Resource::mail_bytes: return mail_bytes;
  }
  return 0;
}

std::shared_ptr<Account> Account::of_user() {
  auto account = shared_from_this();
  while (account->above_) account = account->above_;
  return account;
}

Result<void> Account::check(Resource resource, std::uint64_t amount) const {
  for (const Account* account = this; account; account = account->above_.get()) {
    const auto most = account->quota_.of(resource);
    const auto used = account->used(resource);
    if (used <= most && amount <= most - used) continue;
    const auto [subject, kind_key] = words(account->kind_);
    const auto& [noun, key, remedy] = resource_words[static_cast<std::size_t>(resource)];
    return fail(Errc::limit_exceeded, std::string(subject) + " may have " + std::to_string(most) + " " + noun +
                                          ", has " + std::to_string(used) + " and asks for " + std::to_string(amount) +
                                          " more; " + remedy + ", or raise limits." + kind_key + "." + key +
                                          " in memiod.conf");
  }
  return {};
}

void Account::add(Resource resource, std::uint64_t amount) noexcept {
  for (Account* account = this; account; account = account->above_.get())
    account->used_[static_cast<std::size_t>(resource)] += amount;
}

void Account::subtract(Resource resource, std::uint64_t amount) noexcept {
  for (Account* account = this; account; account = account->above_.get())
    account->used_[static_cast<std::size_t>(resource)] -= amount;
}

Result<Charge> Account::charge(Resource resource, std::uint64_t amount) {
  if (auto checked = check(resource, amount); !checked) return fail(std::move(checked.error()));
  return charge_anyway(resource, amount);
}

Charge Account::charge_anyway(Resource resource, std::uint64_t amount) {
  add(resource, amount);
  return Charge(shared_from_this(), resource, amount);
}

void Account::count_message(Clock::time_point now) noexcept {
  for (Account* account = this; account; account = account->above_.get())
    account->messages_until_ = std::max(account->messages_until_, now) +
                               std::chrono::nanoseconds(std::chrono::seconds(1)) / account->quota_.messages_per_second;
}

Account::Clock::duration Account::wait_for_message(Clock::time_point now) const noexcept {
  Clock::duration longest{};
  for (const Account* account = this; account; account = account->above_.get())
    longest = std::max<Clock::duration>(longest, account->messages_until_ - now - std::chrono::seconds(1));
  return longest;
}

Result<void> Charge::resize(std::uint64_t amount) {
  if (amount > amount_) {
    if (auto checked = account_->check(resource_, amount - amount_); !checked) return checked;
    account_->add(resource_, amount - amount_);
  } else if (account_) {
    account_->subtract(resource_, amount_ - amount);
  }
  amount_ = amount;
  return {};
}

std::shared_ptr<Account> Accounts::of_user(uid_t uid) {
  std::erase_if(accounts_, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = accounts_[uid];
  auto account = entry.lock();
  if (!account) {
    account = std::make_shared<Account>(Account::Kind::user, uid, quota_, nullptr);
    entry = account;
  }
  return account;
}

std::map<uid_t, std::shared_ptr<Account>> Accounts::all() const {
  std::map<uid_t, std::shared_ptr<Account>> all;
  for (const auto& [uid, entry] : accounts_)
    if (auto account = entry.lock()) all.emplace(uid, std::move(account));
  return all;
}

}  // namespace memio::broker

// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memio/message.h"
#include "memio/protocol.h"

namespace memio::test {

// What must be true of memiod's regions after all that was done: the same rules as memiod's, without its means.
class Model {
 public:
  using ActorId = std::uint64_t;
  using HandleId = std::uint64_t;
  using LeaseId = std::uint64_t;

  struct Region {
    std::string name;
    std::uint64_t generation = 0;
    protocol::Lifetime lifetime = protocol::Lifetime::session;
    std::uint64_t capacity = 0;
    unsigned slots = 0;
    bool exclusive = false;
    std::uint64_t sequence = 0;
    std::uint64_t version = 0;
    ActorId creator = 0;            // 0: it has ended
    HandleId creator_handle = 0;    // 0: closed
    std::optional<HandleId> begun;  // who is in the middle of a write
    std::optional<LeaseId> lease;   // no more than one at a time, so that writers always find a slot
    std::size_t handles = 0;
    bool named = true;
    // A classic region whose writer has died over it: until the next publish nobody can read it.
    bool half_written = false;
    // It may go at any moment: a clock is running.
    bool fading = false;
  };
  struct Handle {
    ActorId actor = 0;
    std::shared_ptr<Region> region;
    bool write = false;
  };
  struct Lease {
    HandleId handle = 0;
    std::uint64_t sequence = 0;
  };

  [[nodiscard]] std::shared_ptr<Region> find(const std::string& name) const;
  [[nodiscard]] const auto& names() const noexcept { return named_; }
  [[nodiscard]] const auto& handles() const noexcept { return handles_; }
  [[nodiscard]] const auto& leases() const noexcept { return leases_; }
  [[nodiscard]] std::vector<HandleId> handles_of(ActorId actor) const;

  // What happens. Each keeps to the rules of what happens then.
  void created(ActorId actor, HandleId handle, Region region);
  void opened(ActorId actor, HandleId handle, const std::shared_ptr<Region>& region, bool write);
  void closed(HandleId handle);
  void removed(const std::string& name);
  void written(HandleId handle, std::uint64_t seed);
  void leased(LeaseId lease, HandleId handle);
  void released(LeaseId lease);
  void ended(ActorId actor);
  // memiod has ended and is there again.
  void restarted();

  // Commands, and who handles them; who listens, and how many messages he must have heard of, the lost ones included.
  [[nodiscard]] const auto& commands() const noexcept { return commands_; }
  [[nodiscard]] const auto& heard() const noexcept { return heard_; }
  void handles(ActorId actor, const std::string& command) { commands_.emplace(command, actor); }
  void handles_no_longer(const std::string& command) { commands_.erase(command); }
  void listens(ActorId actor) { heard_.emplace(actor, 0); }
  void emitted(std::uint64_t messages);
  // Everybody counts from here on.
  void count_anew();

  // Takes note of which regions have gone by themselves; says what else is wrong with a list of memiod's, or "".
  [[nodiscard]] std::string compare(const std::vector<protocol::Region>& listed);

 private:
  void unname(const std::shared_ptr<Region>& region);
  static std::string difference(const Region& expected, const protocol::Region& found);

  std::map<std::string, std::shared_ptr<Region>> named_;
  std::map<HandleId, Handle> handles_;
  std::map<LeaseId, Lease> leases_;
  std::map<std::string, ActorId> commands_;
  std::map<ActorId, std::uint64_t> heard_;
};

}  // namespace memio::test

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "account.h"
#include "memio/protocol.h"
#include "memio/region_format.h"
#include "memio/unique_fd.h"
#include "record.h"

namespace memio::broker {

using protocol::Access;

// The broker's side of a region: it owns the files, hands out cells of the lease table, and mends what the owner of a
// cell leaves behind. It never reads payloads; it maps only the directory page and the lease table, and trusts neither.
class Region {
 public:
  struct Spec {
    std::string name;
    Geometry geometry;
    protocol::Lifetime lifetime = protocol::Lifetime::session;
    std::uint64_t generation = 0;
    std::uint32_t cells = 0;                                  // of the lease table, the broker's own included
    bool exclusive = false;                                   // only the creator may write
    std::optional<std::chrono::milliseconds> shrink_after{};  // when idle for so long
  };

  // What the account of whoever made it is charged, as long as its memory is there.
  struct Cost {
    Charge region;
    Charge bytes;
  };

  struct Fds {
    UniqueFd region;
    UniqueFd leases;
    UniqueFd doorbell;
  };

  // Makes the files. Error: out_of_resources.
  static Result<std::shared_ptr<Region>> create(Spec spec);
  // Takes over files that an earlier memiod made. Everything about them is checked, because they may come from a
  // client. Its cells wait to be claimed: those that are `taken`, or, where nobody knows, all that the lease table says
  // are used. Errors: not_the_region, out_of_resources.
  static Result<std::shared_ptr<Region>> adopt(Spec spec, Fds fds,
                                               const std::optional<std::vector<bool>>& taken = std::nullopt);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  [[nodiscard]] const Spec& spec() const noexcept { return spec_; }
  [[nodiscard]] const std::string& name() const noexcept { return spec_.name; }
  [[nodiscard]] std::uint64_t generation() const noexcept { return spec_.generation; }
  // Also notes it in the memory, for a memiod that knows nothing else (noted()).
  void set_generation(std::uint64_t generation) noexcept;
  void note_removed() noexcept;
  // What an earlier memiod noted; or somebody else, because every opener can.
  struct Noted {
    std::uint64_t generation = 0;
    bool removed = false;
  };
  [[nodiscard]] Noted noted() const noexcept;
  [[nodiscard]] protocol::Lifetime lifetime() const noexcept { return spec_.lifetime; }
  [[nodiscard]] bool exclusive() const noexcept { return spec_.exclusive; }
  [[nodiscard]] std::optional<std::chrono::milliseconds> shrink_after() const noexcept { return spec_.shrink_after; }
  [[nodiscard]] const Geometry& geometry() const noexcept { return spec_.geometry; }
  [[nodiscard]] int doorbell() const noexcept { return doorbell_.get(); }
  [[nodiscard]] std::uint32_t cells() const noexcept { return spec_.cells; }

  [[nodiscard]] std::uint64_t handles() const noexcept { return handles_; }

  // The user whose account pays for it.
  [[nodiscard]] uid_t owner() const noexcept { return owner_; }
  void set_cost(uid_t owner, Cost cost) noexcept {
    owner_ = owner;
    cost_ = std::move(cost);
  }

  // Gives out a cell. Error: limit_exceeded.
  Result<std::uint32_t> take_cell();
  // Ties a cell to the lease table that its owner is sent: as long as that open file description is open or mapped, in
  // whatever process, the next memiod knows that the owner is alive (REGION_FORMAT.md, "Owners that do not come back").
  static void tie_cell(std::uint32_t cell, const Fds& fds) noexcept;
  // Whether a cell is tied to this lease table that is shown, and to no other: it was this one's who has it.
  [[nodiscard]] bool is_tied_to(std::uint32_t cell, const Fds& fds) const noexcept;
  // Takes a cell back: ends its leases, frees the writer lock if its owner held it, and wakes who waited for either.
  void give_back_cell(std::uint32_t cell) noexcept;

  // Gives a cell to the one that had it before this memiod was there, or before its connection ended, if nobody else
  // has been given it meanwhile. Error: not_the_region if it is not to be had.
  Result<void> claim_cell(std::uint32_t cell);
  [[nodiscard]] bool has_unclaimed() const noexcept;
  // Whether whoever made it may still claim its cell.
  [[nodiscard]] bool creator_may_come() const noexcept;
  // Clears the cells that nobody has claimed and whose owners are gone.
  void clear_abandoned() noexcept;
  // Its memory file.
  struct File {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const File&) const = default;
  };
  [[nodiscard]] const File& memory_file() const noexcept { return memory_file_; }
  // Whether these are the same files.
  [[nodiscard]] bool is_same_memory(const Fds& fds) const noexcept;
  // What whoever has this descriptor of its memory may do with it.
  [[nodiscard]] Access access_by(int fd) const noexcept;

  // What the next memiod will know of it is kept up to date from now on.
  void set_record(std::unique_ptr<Record> record) noexcept { record_ = std::move(record); }
  [[nodiscard]] Record* record() const noexcept { return record_.get(); }
  // Its files: region, lease table, doorbell.
  [[nodiscard]] std::vector<int> fds() const { return {region_.get(), leases_.get(), doorbell_.get()}; }
  // The cells that are somebody's, or may be claimed.
  [[nodiscard]] std::vector<bool> taken() const;
  // memiod ends, its clients go on: from now on the lease table stays as it is.
  void leave() noexcept { left_ = true; }

  // The cell of the handle with which the region was made; 0 if that is closed, nothing if it is not known.
  [[nodiscard]] std::optional<std::uint32_t> creator_cell() const noexcept { return creator_cell_; }
  void set_creator_cell(std::optional<std::uint32_t> cell) noexcept;
  // How long it has been open to nobody.
  [[nodiscard]] std::chrono::microseconds unused_for() const noexcept;
  void set_unused_since(std::chrono::microseconds when) noexcept;

  // Whether nobody will end it: a region of lifetime session whose creator has not come back.
  [[nodiscard]] bool orphaned() const noexcept { return orphaned_; }
  void set_orphaned(bool orphaned) noexcept { orphaned_ = orphaned; }

  // Descriptors to be sent to an opener; the lease table's is a description of its own. Errors: permission_denied if
  // an exclusive region is not sealed yet, out_of_resources.
  [[nodiscard]] Result<Fds> fds_for(Access access) const;

  // From now on nobody can map the region for writing; mappings that exist go on. Error: out_of_resources.
  Result<void> seal_against_writing() noexcept;

  [[nodiscard]] std::uint64_t sequence() const noexcept;
  // The header of the latest publish, and its sequence. A header that cannot be true is reported as empty.
  struct Latest {
    std::uint64_t sequence = 0;
    std::uint64_t version = 0;
    std::uint64_t length = 0;
  };
  [[nodiscard]] Latest latest() const noexcept;
  [[nodiscard]] std::uint64_t memory_in_use() const noexcept;
  [[nodiscard]] std::vector<std::uint64_t> leases_of(std::uint32_t cell) const;
  // Of all cells together.
  [[nodiscard]] std::uint64_t lease_count() const noexcept;
  [[nodiscard]] bool is_writing(std::uint32_t cell) const noexcept;

  // A bounded part of giving back the memory of stale slots, from byte `place` of the region on (REGION_FORMAT.md,
  // "Shrinking"). Error: read_only if the region is sealed; system.
  struct ShrinkStep {
    std::uint64_t next = 0;  // the place to go on from; the end of the slots if there is nothing left
    bool later = false;      // a writer is at work, or a slot is leased: begin again another time
  };
  Result<ShrinkStep> shrink_step(std::uint64_t place);

  // For version notifications: asks the publisher of `seen` + 1 to ring. False if it has been published already.
  [[nodiscard]] bool arm(std::uint64_t seen) noexcept;
  void disarm() noexcept;
  // Wakes every subscriber, the broker included.
  void ring() noexcept;

  [[nodiscard]] protocol::Region info() const;

 private:
  explicit Region(Spec spec);
  Result<void> make_files();
  Result<void> check_files() const;
  Result<void> map_files();
  Result<void> write_formats();
  void on_opened() noexcept;
  [[nodiscard]] std::optional<std::uint32_t> find_free_cell() const noexcept;
  void take(std::uint32_t cell) noexcept;
  // These return the sequence for which the cell was armed; 0 if it was not.
  std::uint64_t free_cell(std::uint32_t cell) noexcept;
  std::uint64_t clear_cell(std::uint32_t cell) noexcept;
  bool free_writer_lock(std::uint32_t cell) noexcept;
  [[nodiscard]] bool is_tied(std::uint32_t cell) const noexcept;
  Result<ShrinkStep> shrink_leased(unsigned slot, std::uint64_t place);
  [[nodiscard]] std::uint64_t leases_of_others() const noexcept;
  [[nodiscard]] bool has_free_slot_beside(unsigned slot) const noexcept;
  void set_own_leases(std::uint64_t leases) noexcept;
  void wake_for_slots() noexcept;

  Spec spec_;
  uid_t owner_ = 0;
  Cost cost_;
  UniqueFd region_;
  File memory_file_;
  UniqueFd leases_;
  UniqueFd doorbell_;
  format::Directory* directory_ = nullptr;     // one page
  format::LeaseTable* lease_table_ = nullptr;  // lease_table_size(cells)
  enum class CellState : std::uint8_t { free, taken, unclaimed };
  std::vector<CellState> cells_;
  // No free cell from this index on can have an owner that lost its connection and lives.
  std::uint32_t tied_cells_ = 0;
  std::uint64_t handles_ = 0;  // cells that are taken, the broker's own not counted
  std::optional<std::uint32_t> creator_cell_;
  std::chrono::microseconds unused_since_{};  // by CLOCK_MONOTONIC; 0: it is open
  bool orphaned_ = false;
  bool left_ = false;
  bool sealed_ = false;  // then the directory is mapped for reading, and no writer but the creator needs it mended
  std::unique_ptr<Record> record_;  // last: what it knows of the descriptors goes before they do
};

}  // namespace memio::broker

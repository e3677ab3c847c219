// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "memio/region.h"
#include "reader.h"
#include "region_memory.h"
#include "subscriber.h"
#include "writer.h"

namespace memio {

namespace detail {

// What Region and its Snapshots share: the memory, what is leased and begun, and the connection that the handle
// belongs to. The handle is closed when the last of them is gone.
//
// Snapshots are counted, not given a shared_ptr each: they belong to the thread of their Region, and two atomic
// operations would cost as much as the lease itself.
class OpenRegion final : public Subscriber, public std::enable_shared_from_this<OpenRegion> {
 public:
  OpenRegion(std::shared_ptr<ClientCore> core, RegionInfo info, std::uint64_t handle, bool creator,
             RegionMemory memory);
  ~OpenRegion();
  OpenRegion(const OpenRegion&) = delete;
  OpenRegion& operator=(const OpenRegion&) = delete;

  Result<Snapshot> read();
  Result<std::optional<Snapshot>> read(std::optional<std::uint64_t> last_seen);
  // Ends a snapshot. If it was the last one and the Region is gone, this object is gone afterwards.
  void release(unsigned slot) noexcept {
    if (memory_.geometry().classic())
      copies_[slot].in_use = false;
    else
      reader_.release(slot);
    if (--snapshots_ == 0) outlived_.reset();
  }
  // The Region goes: events and the writer lock end now, the rest with the last snapshot.
  static void close(std::shared_ptr<OpenRegion> open) noexcept;
  Result<std::uint64_t> wait(std::uint64_t last_seen, std::chrono::milliseconds timeout);
  Result<void> subscribe(Token token, std::uint64_t last_seen);
  void unsubscribe() noexcept;
  // From now on each ring of the doorbell is told, as region_changed, whether anything was published or not; the first
  // time at once, because one may have gone before. In the place of subscribe().
  Result<void> subscribe_rings(Token token);
  Result<std::span<std::byte>> begin(std::size_t length);
  Result<std::uint64_t> shrink();

  // Whether there is a publish that the subscriber has not been told of, and whether the next one will ring.
  [[nodiscard]] Look look() noexcept override;

  // Sleeps until the doorbell is rung, whatever for; looks after the connection meanwhile. May return early. Error:
  // system.
  Result<void> wait_for_ring(const Deadline& deadline);

  [[nodiscard]] const RegionInfo& info() const noexcept { return info_; }
  // Its id on the connection of now; none if memiod does not know it (any more).
  [[nodiscard]] std::optional<std::uint64_t> handle() const noexcept { return handle_; }
  void set_handle(std::optional<std::uint64_t> handle) noexcept { handle_ = handle; }
  // memiod has given the cell back, which it has cleared if it was there meanwhile.
  void claimed(std::uint64_t handle) noexcept;
  // Whether it is still to be claimed.
  [[nodiscard]] bool claim_due() const noexcept { return claim_due_; }
  void set_claim_due(bool due) noexcept { claim_due_ = due; }
  // Whether that is the connection on which the client receives, because the region was passed on to it.
  [[nodiscard]] bool on_mail() const noexcept { return on_mail_; }
  void set_on_mail(bool on_mail) noexcept { on_mail_ = on_mail; }
  [[nodiscard]] ClientCore& core() noexcept { return *core_; }
  [[nodiscard]] bool is_creator() const noexcept { return creator_; }
  [[nodiscard]] RegionMemory& memory() noexcept { return memory_; }
  [[nodiscard]] Writer& writer() noexcept { return writer_; }
  [[nodiscard]] Reader& reader() noexcept { return reader_; }
  void set_write_timeout(std::chrono::milliseconds timeout) noexcept { write_timeout_ = timeout; }

 private:
  Result<std::optional<Reader::Leased>> lease(std::optional<std::uint64_t> last_seen);
  Snapshot snapshot(const Reader::Leased& leased) noexcept;
  // The rest of begin() when it has to wait. Never inlined: one that waits for nobody is to stay small.
  [[gnu::noinline]] void begin_again(Result<std::span<std::byte>>& payload, std::size_t length);
  Result<void> need_wait_epoll();

  std::shared_ptr<ClientCore> core_;
  RegionInfo info_;
  std::optional<std::uint64_t> handle_;
  bool creator_;
  bool on_mail_ = false;
  bool claim_due_ = false;
  RegionMemory memory_;
  Writer writer_;
  Reader reader_;
  std::size_t snapshots_ = 0;
  std::shared_ptr<OpenRegion> outlived_;  // this object, while snapshots have outlived the Region
  // A classic region cannot be leased, so a snapshot of it is a copy. There are as many as there were snapshots at
  // once.
  struct Copy {
    std::vector<std::byte> bytes;
    bool in_use = false;
  };
  std::deque<Copy> copies_{1};
  std::chrono::milliseconds write_timeout_{1000};
  UniqueFd wait_epoll_;  // made by the first wait() or wait_for_ring()
  std::optional<std::size_t> subscription_;
  bool tells_rings_ = false;
  std::uint64_t last_told_ = 0;
};

}  // namespace detail

// The way from the public Region to what it is made of, for the parts of this project that need more: streams, and the
// web process extension, which maps the files over JavaScript's memory.
class RegionAccess {
 public:
  static RegionMemory& memory(Region& region) noexcept { return region.open_->memory(); }
  static Writer& writer(Region& region) noexcept { return region.open_->writer(); }
  static detail::OpenRegion& open(Region& region) noexcept { return *region.open_; }

  // What a protocol of one's own over a region's memory needs (REGION_FORMAT.md, "Wills"; STREAM_FORMAT.md).
  //
  // Wakes all who wait for the region.
  static void ring(Region& region) noexcept { memio::ring(memory(region).doorbell_fd()); }
  // From now on Client::dispatch tells `token` of each ring, as region_changed, even if nothing was published; the
  // first time at once. In the place of Region::subscribe. Error: system.
  static Result<void> subscribe_rings(Region& region, Token token) { return open(region).subscribe_rings(token); }
  // memiod rings when this handle ends.
  static void set_will(Region& region) noexcept { memory(region).own_cell().will.store(1, std::memory_order_seq_cst); }
  static void clear_will(Region& region) noexcept {
    memory(region).own_cell().will.store(0, std::memory_order_seq_cst);
  }
  // Whether the handle of a cell, which had set its will, is still open. No if there is no such cell.
  static bool has_will(Region& region, std::uint32_t cell) noexcept { return memory(region).has_will(cell); }
};

}  // namespace memio

// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "memio/region.h"
#include "reader.h"
#include "region_memory.h"
#include "writer.h"

namespace memio {

namespace detail {

// What Region and its Snapshots share: the memory, what is leased and begun, and the connection that the handle
// belongs to. The handle is closed when the last of them is gone.
//
// Snapshots are counted, not given a shared_ptr each: they belong to the thread of their Region, and two atomic
// operations would cost as much as the lease itself.
class OpenRegion : public std::enable_shared_from_this<OpenRegion> {
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
  Result<std::span<std::byte>> begin(std::size_t length);
  Result<std::uint64_t> shrink();

  // For ClientCore's dispatch: whether there is a publish that the subscriber has not been told of, and whether the
  // next one will ring. If not, a writer was faster than this look, and another look is due.
  struct Look {
    bool changed = false;
    bool armed = false;
  };
  [[nodiscard]] Look look() noexcept;

  [[nodiscard]] const RegionInfo& info() const noexcept { return info_; }
  // Its id on the connection of now; none if memiod does not know it (any more).
  [[nodiscard]] std::optional<std::uint64_t> handle() const noexcept { return handle_; }
  void set_handle(std::optional<std::uint64_t> handle) noexcept { handle_ = handle; }
  // Whether that is the connection on which the client receives, because the region was passed on to it.
  [[nodiscard]] bool on_mail() const noexcept { return on_mail_; }
  void set_on_mail(bool on_mail) noexcept { on_mail_ = on_mail; }
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

  std::shared_ptr<ClientCore> core_;
  RegionInfo info_;
  std::optional<std::uint64_t> handle_;
  bool creator_;
  bool on_mail_ = false;
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
  UniqueFd wait_epoll_;  // made by the first wait()
  std::optional<std::size_t> subscription_;
  std::uint64_t last_told_ = 0;
};

}  // namespace detail

// The way from the public Region to what it is made of, for the parts of this project that need more: the web process
// extension maps the files over JavaScript's memory.
class RegionAccess {
 public:
  static RegionMemory& memory(Region& region) noexcept { return region.open_->memory(); }
  static Writer& writer(Region& region) noexcept { return region.open_->writer(); }
  static detail::OpenRegion& open(Region& region) noexcept { return *region.open_; }
};

}  // namespace memio

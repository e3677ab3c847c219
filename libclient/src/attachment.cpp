// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "attachment.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace memio {

namespace {

constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

Result<UniqueFd> make_memory_file() {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create("memio:bytes", flags | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd = UniqueFd(::memfd_create("memio:bytes", flags));  // before Linux 6.3
  if (!fd.valid()) return fail_errno(errno, "making a memory file for bytes");
  return fd;
}

}  // namespace

Attachment::Attachment(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Attachment::Attachment(Attachment&&) noexcept = default;
Attachment& Attachment::operator=(Attachment&&) noexcept = default;
Attachment::~Attachment() = default;

Attachment::Impl::~Impl() {
  if (mapping.data()) ::munmap(const_cast<std::byte*>(mapping.data()), mapping.size());
}

Result<Attachment> Attachment::of_bytes(std::span<const std::byte> bytes) {
  auto fd = make_memory_file();
  if (!fd) return fail(std::move(fd.error()));
  while (!bytes.empty()) {
    const auto n = ::write(fd->get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "writing bytes into a memory file");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  if (::fcntl(fd->get(), F_ADD_SEALS, all_seals) != 0) return fail_errno(errno, "sealing bytes");
  return of_descriptor(std::move(*fd));
}

Result<Attachment> Attachment::of_region(const Region& region) {
  UniqueFd fd(::fcntl(region.file_descriptor(), F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "attaching a region");
  return of_descriptor(std::move(fd));
}

Attachment Attachment::of_descriptor(UniqueFd fd) {
  auto impl = std::make_unique<Impl>();
  impl->fd = std::move(fd);
  return Attachment(std::move(impl));
}

bool Attachment::is_region() const noexcept { return impl_->region.has_value(); }

Result<Region> Attachment::take_region() {
  if (!impl_->region) return fail(Errc::misuse, "this attachment is no region, or it was taken");
  Region region = std::move(*impl_->region);
  impl_->region.reset();
  return region;
}

Result<UniqueFd> Attachment::take_descriptor() {
  if (!impl_->fd.valid()) return fail(Errc::misuse, "this attachment is no descriptor, or it was taken");
  return std::move(impl_->fd);
}

Result<std::span<const std::byte>> Attachment::bytes() {
  if (impl_->mapping.data()) return impl_->mapping;
  if (!impl_->fd.valid()) return fail(Errc::misuse, "this attachment is a region, or it was taken");
  const int fd = impl_->fd.get();
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & all_seals) != all_seals)
    return fail(Errc::corrupt, "the bytes that were attached could still be changed: their file is not sealed");
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "looking at attached bytes");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return std::span<const std::byte>();
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return fail_errno(errno, "mapping attached bytes");
  impl_->mapping = {static_cast<const std::byte*>(data), size};
  return impl_->mapping;
}

}  // namespace memio

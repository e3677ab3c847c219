// SPDX-License-Identifier: MIT
#include "commands.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "file.h"
#include "stream.h"

namespace memio::ctl {

namespace {

// All of a file whose size nobody knows beforehand.
Result<std::vector<std::byte>> read_all(int fd, const std::string& path) {
  constexpr std::size_t chunk = std::size_t{1} << 20;
  std::vector<std::byte> bytes;
  for (;;) {
    const auto old_size = bytes.size();
    bytes.resize(old_size + chunk);
    auto n = read_full(fd, std::span(bytes).subspan(old_size), path);
    if (!n) return fail(std::move(n.error()));
    bytes.resize(old_size + *n);
    if (*n < chunk) return bytes;
  }
}

Result<Region> open_to_put(Client& client, const PutOptions& options, std::uint64_t size) {
  auto region = client.open(options.name, Access::write);
  if (region || region.error().code != Errc::no_such_region || !options.create) {
    if (!region && region.error().code == Errc::no_such_region)
      region.error().message += "; create it first, or use --create";
    return region;
  }
  return client.create(options.name, {.capacity = std::max<std::uint64_t>(size, 1), .lifetime = Lifetime::persistent});
}

Error too_large(const std::string& what, std::uint64_t size, const Region& region) {
  return {Errc::payload_too_large, 0,
          what + " has " + std::to_string(size) + " bytes, but " + region.info().name + " can hold " +
              std::to_string(region.info().capacity)};
}

// A file of known size is read straight into the region's memory.
Result<std::uint64_t> put_in_place(Region& region, int fd, std::uint64_t size, const PutOptions& options) {
  auto payload = region.begin(size);
  if (!payload) return fail(std::move(payload.error()));
  auto n = read_full(fd, *payload, options.file);
  if (!n) return fail(std::move(n.error()));
  if (*n != size) return fail(Errc::system, options.file + " became shorter while it was read");
  return region.commit(options.version);
}

}  // namespace

Result<void> create(Client& client, const CreateOptions& options, Output& output) {
  auto region = client.create(options.name, options.region);
  if (!region) return fail(std::move(region.error()));
  output.region(region->info());
  return {};
}

Result<void> list(Client& client, const std::string& pattern, Output& output) {
  auto regions = client.list(pattern);
  if (!regions) return fail(std::move(regions.error()));
  output.regions(*regions);
  return {};
}

Result<void> stat(Client& client, const std::string& name, Output& output) {
  auto state = client.stat(name);
  if (!state) return fail(std::move(state.error()));
  output.state(*state);
  return {};
}

Result<void> put(Client& client, const PutOptions& options, Output& output) {
  if (options.stream) return put_stream(client, options, output);
  auto file = open_file(options.file, O_RDONLY);
  if (!file) return fail(std::move(file.error()));
  struct stat status {};
  // What says that it is empty may be a file of /proc, which is not.
  const bool size_known =
      ::fstat(file->get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 && options.file != "-";
  std::vector<std::byte> bytes;
  if (!size_known) {
    auto all = read_all(file->get(), options.file);
    if (!all) return fail(std::move(all.error()));
    bytes = std::move(*all);
  }
  const std::uint64_t size = size_known ? static_cast<std::uint64_t>(status.st_size) : bytes.size();
  auto region = open_to_put(client, options, size);
  if (!region) return fail(std::move(region.error()));
  if (size > region->info().capacity) return fail(too_large(options.file, size, *region));
  auto sequence =
      size_known ? put_in_place(*region, file->get(), size, options) : region->write(bytes, options.version);
  if (!sequence) return fail(std::move(sequence.error()));
  output.published(options.name, *sequence, size);
  return {};
}

Result<void> get(Client& client, const GetOptions& options, Output& output) {
  if (options.stream) return get_stream(client, options, output);
  auto region = client.open(options.name, Access::read);
  if (!region) return fail(std::move(region.error()));
  auto snapshot = region->read();
  if (!snapshot) return fail(std::move(snapshot.error()));
  auto file = open_file(options.file, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return fail(std::move(file.error()));
  if (auto written = write_full(file->get(), snapshot->data(), output_name(options.file)); !written) return written;
  return close_file(std::move(*file), output_name(options.file));
}

Result<void> watch(Client& client, const WatchOptions& options, Output& output) {
  auto watcher = client.watch(options.pattern, options.versions);
  if (!watcher) return fail(std::move(watcher.error()));
  for (std::uint64_t told = 0; !options.count || told < *options.count;) {
    auto event = watcher->wait(std::chrono::milliseconds(-1));
    if (!event) return fail(std::move(event.error()));
    if (auto written = output.event(*event); !written) return written;
    if (event->kind != EventKind::present && event->kind != EventKind::ready) ++told;
  }
  return {};
}

Result<void> sessions(Client& client, Output& output) {
  auto sessions = client.list_sessions();
  if (!sessions) return fail(std::move(sessions.error()));
  output.sessions(*sessions);
  return {};
}

Result<void> metrics(Client& client, bool open_metrics, Output& output) {
  if (open_metrics) {
    auto text = client.open_metrics();
    if (!text) return fail(std::move(text.error()));
    output.text(*text);
    return {};
  }
  auto families = client.metrics();
  if (!families) return fail(std::move(families.error()));
  output.metrics(*families);
  return {};
}

Result<void> shrink(Client& client, const std::string& name, Output& output) {
  auto region = client.open(name, Access::write);
  if (!region) return fail(std::move(region.error()));
  auto freed = region->shrink();
  if (!freed) return fail(std::move(freed.error()));
  output.shrunk(name, *freed);
  return {};
}

Result<void> remove(Client& client, const std::string& name) { return client.remove(name); }

}  // namespace memio::ctl

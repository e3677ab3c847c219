// SPDX-License-Identifier: MIT
#include "uploads.h"

#include <glib.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace memio::demo {

namespace {

// A hash on its way through a snapshot, which stays leased until it is done.
struct Hashing {
  static constexpr std::size_t step_size = std::size_t{256} * 1024;  // about a millisecond

  Hashing(std::string region_name, Snapshot leased)
      : name(std::move(region_name)), snapshot(std::move(leased)), checksum(g_checksum_new(G_CHECKSUM_SHA256)) {}
  ~Hashing() { g_checksum_free(checksum); }
  Hashing(const Hashing&) = delete;
  Hashing& operator=(const Hashing&) = delete;

  // False when all is hashed.
  bool step() {
    const auto rest = snapshot.data().subspan(done);
    const auto bytes = rest.first(std::min(rest.size(), step_size));
    g_checksum_update(checksum, reinterpret_cast<const guchar*>(bytes.data()), static_cast<gssize>(bytes.size()));
    done += bytes.size();
    return done < snapshot.data().size();
  }

  std::string name;
  Snapshot snapshot;
  GChecksum* checksum;
  std::size_t done = 0;
  double started_ms = wall_clock_ms();
};

}  // namespace

Result<std::unique_ptr<Uploads>> Uploads::create(Client& client, EventLoop& loop, Token watch_token) {
  auto result = client.create(result_name, RegionOptions{.capacity = 4096});
  if (!result) return fail(result.error());
  auto watcher = client.watch(pattern, true, watch_token);
  if (!watcher) return fail(watcher.error());
  return std::unique_ptr<Uploads>(new Uploads(client, loop, std::move(*result), std::move(*watcher)));
}

void Uploads::on_watch() {
  for (;;) {
    const auto event = watcher_.next();
    if (!event || !*event) return;  // no more, or memiod is gone: main() hears of that itself
    if ((*event)->kind == EventKind::version && (*event)->region) on_uploaded((*event)->region->name);
  }
}

void Uploads::on_uploaded(const std::string& name) {
  client_.open_async(name, Access::read, [this, name](Result<Region> region) {
    if (region) return hash(name, std::move(*region));
    publish(nlohmann::json{{"name", name}, {"error", region.error().text()}}.dump());
  });
}

void Uploads::hash(const std::string& name, Region region) {
  auto snapshot = region.read();
  if (!snapshot) return publish(nlohmann::json{{"name", name}, {"error", snapshot.error().text()}}.dump());
  // The snapshot outlives the Region object; std::function wants its captures copyable.
  loop_.work([this, hashing = std::make_shared<Hashing>(name, std::move(*snapshot))] {
    if (hashing->step()) return true;
    publish(nlohmann::json{{"name", hashing->name},
                           {"size", hashing->snapshot.data().size()},
                           {"sha256", g_checksum_get_string(hashing->checksum)},
                           {"milliseconds", wall_clock_ms() - hashing->started_ms}}
                .dump());
    return false;
  });
}

void Uploads::publish(const std::string& json) {
  if (auto written = result_.write(std::as_bytes(std::span(json))); !written) {
    g_printerr("memio-demo-producer: publishing an upload's result: %s\n", written.error().text().c_str());
  }
}

}  // namespace memio::demo

// SPDX-License-Identifier: MIT
#include "fd_source.h"

namespace memio::webext {

namespace {

constexpr auto readable = static_cast<GIOCondition>(G_IO_IN | G_IO_HUP | G_IO_ERR);

// GLib takes a source's descriptor out of its set around each dispatch, unless the source may recurse, and wakes its
// own loop by a system call each time: for a wake-up that is short otherwise, that is much. So this one may recurse,
// and takes its descriptor out only if it really does.
struct Source {
  GSource base;
  gpointer tag;
  std::function<void()>* on_readable;
  bool calling;
  bool muted;
};

Source* cast(GSource* source) { return reinterpret_cast<Source*>(source); }

gboolean prepare(GSource*, gint* timeout) {
  *timeout = -1;
  return FALSE;
}

gboolean check(GSource* base) { return g_source_query_unix_fd(base, cast(base)->tag) != 0; }

gboolean dispatch(GSource* base, GSourceFunc, gpointer) {
  Source* source = cast(base);
  if (source->calling) {
    g_source_modify_unix_fd(base, source->tag, static_cast<GIOCondition>(0));
    source->muted = true;
    return G_SOURCE_CONTINUE;
  }
  source->calling = true;
  (*source->on_readable)();
  source->calling = false;
  if (std::exchange(source->muted, false) && !g_source_is_destroyed(base))
    g_source_modify_unix_fd(base, source->tag, readable);
  return G_SOURCE_CONTINUE;
}

// When it has been destroyed and is no longer being dispatched.
void finalize(GSource* base) { delete cast(base)->on_readable; }

GSourceFuncs functions = {prepare, check, dispatch, finalize, nullptr, nullptr};

}  // namespace

FdSource::FdSource(int fd, std::function<void()> on_readable) : source_(g_source_new(&functions, sizeof(Source))) {
  g_source_set_can_recurse(source_, TRUE);
  Source* source = cast(source_);
  source->on_readable = new std::function<void()>(std::move(on_readable));
  source->tag = g_source_add_unix_fd(source_, fd, readable);
  g_source_attach(source_, nullptr);
}

}  // namespace memio::webext

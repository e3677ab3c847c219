/* SPDX-License-Identifier: MIT */
#include "memio-glib.h"

enum { EVENTS_AT_ONCE = 32 };

typedef struct {
  GSource source;
  memio_client* client;
  gpointer tag;
} MemioSource;

static gboolean memio_source_check(GSource* source) {
  MemioSource* self = (MemioSource*)source;
  return g_source_query_unix_fd(source, self->tag) != 0;
}

static gboolean memio_source_dispatch(GSource* source, GSourceFunc callback, gpointer user_data) {
  MemioSource* self = (MemioSource*)source;
  MemioSourceFunc on_event = (MemioSourceFunc)(void (*)(void))callback;
  struct memio_event events[EVENTS_AT_ONCE];
  /* What does not fit keeps the descriptor readable, and the loop comes back. */
  const size_t count = memio_dispatch(self->client, events, EVENTS_AT_ONCE);
  for (size_t i = 0; on_event && i < count && !g_source_is_destroyed(source); ++i)
    if (!on_event(self->client, &events[i], user_data)) return G_SOURCE_REMOVE;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs memio_source_funcs = {NULL, memio_source_check, memio_source_dispatch, NULL, NULL, NULL};

GSource* memio_source_new(memio_client* client) {
  GSource* source = g_source_new(&memio_source_funcs, sizeof(MemioSource));
  MemioSource* self = (MemioSource*)source;
  self->client = client;
  self->tag = g_source_add_unix_fd(source, memio_get_fd(client), G_IO_IN);
  g_source_set_static_name(source, "memio");
  return source;
}

/* SPDX-License-Identifier: MIT */
#ifndef MEMIO_GLIB_H
#define MEMIO_GLIB_H

/*
 * A memio client in a GLib main loop.
 *
 *     GSource *source = memio_source_new(client);
 *     g_source_set_callback(source, G_SOURCE_FUNC(on_event), data, NULL);
 *     g_source_attach(source, NULL);
 *
 * The callback is called once an event, in the thread of the source's main context.
 */

#include <glib.h>

#include "memio.h"

G_BEGIN_DECLS

/* Return G_SOURCE_REMOVE to destroy the source. */
typedef gboolean (*MemioSourceFunc)(memio_client* client, const struct memio_event* event, gpointer user_data);

/* A source that dispatches `client`, which must outlive it. Free with g_source_unref(). */
MEMIO_EXPORT GSource* memio_source_new(memio_client* client);

G_END_DECLS

#endif

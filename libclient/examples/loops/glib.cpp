// SPDX-License-Identifier: MIT
// memio in a GLib main loop. Programs in C have memio_source_new() of memio-glib.h.
#include <glib-unix.h>

#include "follower.h"

struct Application {
  Follower follower;
  GMainLoop* loop;
};

static gboolean on_readable(gint, GIOCondition, gpointer data) {
  auto* application = static_cast<Application*>(data);
  if (application->follower.dispatch()) return G_SOURCE_CONTINUE;
  g_main_loop_quit(application->loop);
  return G_SOURCE_REMOVE;
}

int main() {
  auto follower = Follower::start();
  if (!follower) {
    std::cerr << follower.error().text() << '\n';
    return 1;
  }
  Application application{std::move(*follower), g_main_loop_new(nullptr, FALSE)};
  g_unix_fd_add(application.follower.fd(), G_IO_IN, on_readable, &application);
  g_main_loop_run(application.loop);
  g_main_loop_unref(application.loop);
}

// SPDX-License-Identifier: MIT
// memio-demo: a window with the demo's page. memio-demo-producer must be running.
#include <gtk/gtk.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "viewer.h"

int main(int argc, char** argv) try {
  memio::demo::ViewerOptions options;
  CLI::App app{"Shows memiod's demo page."};
  auto* const check =
      app.add_flag("--check", options.check, "Let the page try everything, print what it measured, and end");
  app.add_option("--file", options.file, "The file that the page uploads")->needs(check)->check(CLI::ExistingFile);
  app.add_option("--file-sha256", options.file_sha256, "Its SHA-256")->needs(check);
  app.add_option("--screenshot", options.screenshot, "Where to write a picture of the page, as PNG")->needs(check);
  app.add_option("--seconds", options.seconds, "Time limit of the check")->needs(check)->capture_default_str();
  app.add_option("--width", options.width, "Of the window")->capture_default_str();
  app.add_option("--height", options.height, "Of the window")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  if (!gtk_init_check()) {
    std::fprintf(stderr, "memio-demo: there is no display; `run --check` brings its own\n");
    return 1;
  }
  auto pages = memio::demo::PageScheme::create();
  if (!pages) {
    std::fprintf(stderr, "memio-demo: %s\n", pages.error().text().c_str());
    return 1;
  }
  return memio::demo::Viewer(options, **pages).run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "memio-demo: giving up: %s\n", error.what());
  return 1;
}

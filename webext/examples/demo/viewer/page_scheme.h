// SPDX-License-Identifier: MIT
#pragma once

#include <webkit/webkit.h>

#include <memory>
#include <optional>

#include "memio/client.h"
#include "memio/result.h"

namespace memio::demo {

// Serves memio-demo://app/: the page's files, and roads.bin, the latest publish of demo/roads. The latter is what an
// application without memiod would do to bring 100 MiB to its page.
class PageScheme {
 public:
  static constexpr const char* scheme = "memio-demo";
  static constexpr const char* origin = "memio-demo://app";

  // Opens demo/roads for reading. Errors: as Client::connect and open.
  static Result<std::unique_ptr<PageScheme>> create();
  PageScheme(const PageScheme&) = delete;
  PageScheme& operator=(const PageScheme&) = delete;

  // Makes pages of `context` find the scheme. This object must live longer than the context's views.
  void serve(WebKitWebContext* context);

 private:
  PageScheme(Client client, Region roads) : client_(std::move(client)), roads_(std::move(roads)) {}
  void answer(WebKitURISchemeRequest* request);
  void answer_with_file(WebKitURISchemeRequest* request, const char* path);
  void answer_with_roads(WebKitURISchemeRequest* request);

  Client client_;
  Region roads_;
};

}  // namespace memio::demo

// SPDX-License-Identifier: MIT
#include "page_scheme.h"

#include <string>

namespace memio::demo {

namespace {

constexpr const char* resource_root = "/io/memio/demo";

const char* content_type_of(const std::string& path) {
  if (path.ends_with(".js")) return "text/javascript";
  if (path.ends_with(".css")) return "text/css";
  return "text/html";
}

void finish(WebKitURISchemeRequest* request, GBytes* bytes, const char* content_type) {
  g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_bytes(bytes);
  webkit_uri_scheme_request_finish(request, stream, static_cast<gint64>(g_bytes_get_size(bytes)), content_type);
}

// WebKit may let go of the bytes in any thread; the lease ends in the one that took it.
void release_in_main_thread(gpointer snapshot) {
  g_main_context_invoke(
      nullptr,
      [](gpointer data) -> gboolean {
        delete static_cast<Snapshot*>(data);
        return G_SOURCE_REMOVE;
      },
      snapshot);
}

}  // namespace

Result<std::unique_ptr<PageScheme>> PageScheme::create() {
  auto client = Client::connect();
  if (!client) return fail(client.error());
  auto roads = client->open("demo/roads", Access::read);
  if (!roads) return fail(roads.error());
  return std::unique_ptr<PageScheme>(new PageScheme(std::move(*client), std::move(*roads)));
}

void PageScheme::serve(WebKitWebContext* context) {
  webkit_web_context_register_uri_scheme(
      context, scheme,
      [](WebKitURISchemeRequest* request, gpointer self) { static_cast<PageScheme*>(self)->answer(request); }, this,
      nullptr);
  // As https is: modules, fetch() and crypto.subtle want that.
  WebKitSecurityManager* const security = webkit_web_context_get_security_manager(context);
  webkit_security_manager_register_uri_scheme_as_secure(security, scheme);
  webkit_security_manager_register_uri_scheme_as_cors_enabled(security, scheme);
}

void PageScheme::answer(WebKitURISchemeRequest* request) {
  const std::string path = webkit_uri_scheme_request_get_path(request);
  if (path == "/roads.bin") return answer_with_roads(request);
  answer_with_file(request, path == "/" ? "/index.html" : path.c_str());
}

void PageScheme::answer_with_file(WebKitURISchemeRequest* request, const char* path) {
  g_autoptr(GError) error = nullptr;
  const std::string resource = std::string(resource_root) + path;
  g_autoptr(GBytes) bytes = g_resources_lookup_data(resource.c_str(), G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
  if (bytes == nullptr) return webkit_uri_scheme_request_finish_error(request, error);
  finish(request, bytes, content_type_of(resource));
}

void PageScheme::answer_with_roads(WebKitURISchemeRequest* request) {
  auto snapshot = roads_.read();
  if (!snapshot) {
    g_autoptr(GError) error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, snapshot.error().text().c_str());
    return webkit_uri_scheme_request_finish_error(request, error);
  }
  auto leased = std::make_unique<Snapshot>(std::move(*snapshot));
  const auto data = leased->data();
  g_autoptr(GBytes) bytes =
      g_bytes_new_with_free_func(data.data(), data.size(), release_in_main_thread, leased.release());
  finish(request, bytes, "application/octet-stream");
}

}  // namespace memio::demo

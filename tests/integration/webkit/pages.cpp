// SPDX-License-Identifier: MIT
#include "pages.h"

namespace memio::test {

const std::string answering_page = R"html(<!doctype html><title>t</title><script>
  onmessage = async ({data, ports: [port]}) => {
    const run = Object.getPrototypeOf(async () => {}).constructor;
    try {
      port.postMessage({value: await run(data)()});
    } catch (e) {
      port.postMessage({value: {error: e.name, message: e.message}});
    }
  };
</script>)html";

void Pages::set_frames(const std::string& address, const std::string& tags) {
  set(address, answering_page + tags + R"html(<script>
    globalThis.ask = (frame, body) => new Promise(resolve => {
      const {port1, port2} = new MessageChannel();
      port1.onmessage = ({data}) => resolve(data.value);
      frame.contentWindow.postMessage(body, '*', [port2]);
    });
  </script>)html");
}

std::function<void(WebKitWebContext*)> Pages::serve() {
  return [this](WebKitWebContext* context) {
    for (const char* scheme : {"page", "site"})
      webkit_web_context_register_uri_scheme(context, scheme, on_request, this, nullptr);
  };
}

void Pages::on_request(WebKitURISchemeRequest* request, gpointer data) {
  auto* self = static_cast<Pages*>(data);
  ++self->served_;
  const auto found = self->pages_.find(webkit_uri_scheme_request_get_uri(request));
  const std::string& html = found == self->pages_.end() ? answering_page : found->second;
  GBytes* bytes = g_bytes_new(html.data(), html.size());
  const webext::ObjectPtr<GInputStream> stream(g_memory_input_stream_new_from_bytes(bytes));
  g_bytes_unref(bytes);
  webkit_uri_scheme_request_finish(request, stream.get(), static_cast<gint64>(html.size()), "text/html");
}

std::string ask(const std::string& frame, const std::string& body) {
  return "return await ask(" + frame + ", `" + body + "`);";
}

}  // namespace memio::test

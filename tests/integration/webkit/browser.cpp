// SPDX-License-Identifier: MIT
#include "browser.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>

namespace memio::test {

namespace {

// Set where more loop turns are needed only because what is waited for cannot wake the loop.
constexpr guint tick_milliseconds = 5;

struct Process {
  pid_t parent = 0;
  std::string name;
};

std::map<pid_t, Process> all_processes() {
  std::map<pid_t, Process> processes;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  while (const dirent* entry = ::readdir(proc.get())) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    std::ifstream status("/proc/" + std::string(entry->d_name) + "/status");
    Process process;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:\t")) process.name = line.substr(6);
      if (line.starts_with("PPid:\t")) process.parent = std::atoi(line.c_str() + 6);
    }
    processes[pid] = process;
  }
  return processes;
}

}  // namespace

bool run_until(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const guint tick = g_timeout_add(
      tick_milliseconds, [](gpointer) -> gboolean { return G_SOURCE_CONTINUE; }, nullptr);
  bool holds = condition();
  while (!holds && std::chrono::steady_clock::now() < deadline) {
    g_main_context_iteration(nullptr, TRUE);
    holds = condition();
  }
  g_source_remove(tick);
  return holds;
}

Browser::Browser(MemioWebkit* memio, const UseContext& before_view, const UseContext& attach_context)
    : context_(webkit_web_context_new()) {
  GError* error = nullptr;
  if (!attach_context && !memio_webkit_attach_context(memio, context_.get(), &error))
    throw std::runtime_error(error->message);
  if (attach_context) attach_context(context_.get());
  if (before_view) before_view(context_.get());
  view_ = WEBKIT_WEB_VIEW(g_object_new(WEBKIT_TYPE_WEB_VIEW, "web-context", context_.get(), nullptr));
  if (!memio_webkit_attach_view(memio, view_, &error)) throw std::runtime_error(error->message);
  WebKitSettings* settings = webkit_web_view_get_settings(view_);
  webkit_settings_set_enable_write_console_messages_to_stdout(settings, TRUE);
  webkit_settings_set_hardware_acceleration_policy(settings, WEBKIT_HARDWARE_ACCELERATION_POLICY_NEVER);

  g_signal_connect(view_, "load-changed", G_CALLBACK(+[](WebKitWebView*, WebKitLoadEvent event, gpointer data) {
                     if (event == WEBKIT_LOAD_FINISHED) ++static_cast<Browser*>(data)->finished_;
                   }),
                   this);
  g_signal_connect(view_, "web-process-terminated",
                   G_CALLBACK(+[](WebKitWebView*, WebKitWebProcessTerminationReason, gpointer data) {
                     ++static_cast<Browser*>(data)->terminations_;
                     ++all_terminations_;
                   }),
                   this);
#ifdef MEMIO_WEBKIT_6
  window_ = gtk_window_new();
  gtk_window_set_child(GTK_WINDOW(window_), GTK_WIDGET(view_));
  gtk_window_present(GTK_WINDOW(window_));
#else
  window_ = gtk_window_new(GTK_WINDOW_TOPLEVEL);
  gtk_container_add(GTK_CONTAINER(window_), GTK_WIDGET(view_));
  gtk_widget_show_all(window_);
#endif
}

Browser::~Browser() {
  g_signal_handlers_disconnect_by_data(view_, this);
#ifdef MEMIO_WEBKIT_6
  gtk_window_destroy(GTK_WINDOW(window_));
#else
  gtk_widget_destroy(window_);
#endif
}

bool Browser::load(const std::function<void()>& begin) {
  const int finished = finished_;
  const int terminations = terminations_;
  begin();
  const auto is_over = [&] {
    return terminations_ > terminations || (finished_ > finished && !webkit_web_view_is_loading(view_));
  };
  return run_until(is_over) && terminations_ == terminations;
}

bool Browser::load_html(const std::string& base, const std::string& html) {
  return load([&] { webkit_web_view_load_html(view_, html.c_str(), base.c_str()); });
}
bool Browser::load_uri(const std::string& uri) {
  return load([&] { webkit_web_view_load_uri(view_, uri.c_str()); });
}
bool Browser::reload() {
  return load([&] { webkit_web_view_reload(view_); });
}
bool Browser::go_back() {
  return load([&] { webkit_web_view_go_back(view_); });
}

std::shared_ptr<Outcome> Browser::start(const std::string& body) {
  const std::string wrapped = "try { const value = await (async () => {" + body +
                              "\n})(); return JSON.stringify(value === undefined ? null : value); } catch (e) {"
                              " return JSON.stringify({error: String(e?.name), message: String(e?.message)}); }";
  auto outcome = std::make_shared<Outcome>();
  const auto finished = +[](GObject* view, GAsyncResult* result, gpointer data) {
    const std::unique_ptr<std::shared_ptr<Outcome>> held(static_cast<std::shared_ptr<Outcome>*>(data));
    GError* error = nullptr;
    const webext::ObjectPtr<JSCValue> value(
        webkit_web_view_call_async_javascript_function_finish(WEBKIT_WEB_VIEW(view), result, &error));
    const webext::ErrorPtr owned(error);
    (*held)->done = true;
    if (!value) {
      (*held)->value = {{"error", "no answer"}, {"message", error->message}};
      return;
    }
    const webext::CharPtr text(jsc_value_to_string(value.get()));
    (*held)->value = Json::parse(text.get());
  };
  webkit_web_view_call_async_javascript_function(view_, wrapped.c_str(), -1, nullptr, nullptr, nullptr, nullptr,
                                                 finished, new std::shared_ptr<Outcome>(outcome));
  return outcome;
}

Json Browser::run(const std::string& body) {
  const auto outcome = start(body);
  if (!run_until([&] { return outcome->done; })) return {{"error", "no answer in time"}, {"message", body}};
  return outcome->value;
}

std::vector<pid_t> Browser::web_processes() {
  const auto processes = all_processes();
  std::vector<pid_t> found;
  for (const auto& [pid, process] : processes) {
    if (!process.name.starts_with("WebKitWebProces")) continue;
    pid_t ancestor = process.parent;
    while (ancestor > 1 && ancestor != ::getpid() && processes.contains(ancestor))
      ancestor = processes.at(ancestor).parent;
    if (ancestor == ::getpid()) found.push_back(pid);
  }
  return found;
}

std::size_t Browser::memio_mappings() {
  std::size_t count = 0;
  for (const pid_t pid : web_processes()) {
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    for (std::string line; std::getline(maps, line);)
      if (line.find("memfd:memio") != line.npos) ++count;
  }
  return count;
}

}  // namespace memio::test

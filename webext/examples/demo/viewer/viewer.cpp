// SPDX-License-Identifier: MIT
// What a WebKitGTK application does to give its pages memiod: attach() is all of it. The rest is a window, and the
// check.
#include "viewer.h"

#include <cstdio>

#include "report.h"

namespace memio::demo {

namespace {

void complain(const std::string& why) { std::fprintf(stderr, "memio-demo: %s\n", why.c_str()); }

}  // namespace

Viewer::~Viewer() {
  if (time_limit_ != 0) g_source_remove(time_limit_);
  if (window_ != nullptr) gtk_window_destroy(GTK_WINDOW(window_));
  g_clear_object(&context_);
  g_clear_object(&memio_);
  g_main_loop_unref(loop_);
}

int Viewer::run() {
  context_ = webkit_web_context_new();
  pages_.serve(context_);
  if (!attach()) return 1;
  create_window();
  if (options_.check) begin_check();
  const std::string address = std::string(PageScheme::origin) + (options_.check ? "/#check" : "/");
  webkit_web_view_load_uri(view_, address.c_str());
  gtk_window_present(GTK_WINDOW(window_));
  g_main_loop_run(loop_);
  return exit_code_;
}

bool Viewer::attach() {
  g_autoptr(GError) error = nullptr;
  if (!memio_webkit_allow(memio_, PageScheme::origin, "demo/**", MEMIO_WEBKIT_ALL, &error) ||
      !memio_webkit_attach_context(memio_, context_, &error)) {
    complain(error->message);
    return false;
  }
  create_view();
  if (!memio_webkit_attach_view(memio_, view_, &error)) {
    complain(error->message);
    return false;
  }
  return true;
}

void Viewer::create_view() {
  g_autoptr(WebKitUserContentManager) content = webkit_user_content_manager_new();
  webkit_user_content_manager_register_script_message_handler(content, "demo", nullptr);
  g_signal_connect(content, "script-message-received::demo",
                   G_CALLBACK(+[](WebKitUserContentManager*, JSCValue* value, Viewer* self) {
                     g_autofree char* text = jsc_value_to_string(value);
                     auto message = nlohmann::json::parse(text, nullptr, false);
                     if (message.is_object()) self->on_message(message);
                   }),
                   this);
  view_ = WEBKIT_WEB_VIEW(
      g_object_new(WEBKIT_TYPE_WEB_VIEW, "web-context", context_, "user-content-manager", content, nullptr));
  g_signal_connect(view_, "load-failed",
                   G_CALLBACK(+[](WebKitWebView*, WebKitLoadEvent, char*, GError* error, Viewer* self) -> gboolean {
                     self->end(1, std::string("the page did not load: ") + error->message);
                     return FALSE;
                   }),
                   this);
  g_signal_connect(view_, "web-process-terminated",
                   G_CALLBACK(+[](WebKitWebView*, WebKitWebProcessTerminationReason, Viewer* self) {
                     self->end(1, "the web process ended by itself");
                   }),
                   this);
}

void Viewer::create_window() {
  window_ = gtk_window_new();
  gtk_window_set_title(GTK_WINDOW(window_), "memiod demo");
  gtk_window_set_default_size(GTK_WINDOW(window_), options_.width, options_.height);
  gtk_window_set_child(GTK_WINDOW(window_), GTK_WIDGET(view_));
  g_signal_connect_swapped(window_, "close-request", G_CALLBACK(+[](Viewer* self) -> gboolean {
                             self->end(0);
                             return TRUE;
                           }),
                           this);
}

void Viewer::begin_check() {
  WebKitSettings* const settings = webkit_web_view_get_settings(view_);
  // Under Xvfb there is no graphics card, and the pretence of one is slower than none.
  webkit_settings_set_hardware_acceleration_policy(settings, WEBKIT_HARDWARE_ACCELERATION_POLICY_NEVER);
  webkit_settings_set_enable_write_console_messages_to_stdout(settings, TRUE);
  gtk_window_set_decorated(GTK_WINDOW(window_), FALSE);
  g_signal_connect(view_, "run-file-chooser",
                   G_CALLBACK(+[](WebKitWebView*, WebKitFileChooserRequest* request, Viewer* self) {
                     return self->on_file_chooser(request);
                   }),
                   this);
  time_limit_ = g_timeout_add_seconds(
      options_.seconds,
      [](gpointer data) -> gboolean {
        auto* const self = static_cast<Viewer*>(data);
        self->time_limit_ = 0;
        self->end(1, "gave up after " + std::to_string(self->options_.seconds) + " s, waiting for " + self->stage_);
        return G_SOURCE_REMOVE;
      },
      this);
}

void Viewer::on_message(const nlohmann::json& message) {
  const std::string type = message.value("type", "");
  if (type == "trouble") {
    const std::string text = message.value("text", "something went wrong");
    if (options_.check) return end(1, "the page says: " + text);
    complain(text);
  }
  if (!options_.check) return;
  if (type == "stage") stage_ = message.value("text", "");
  if (type == "choose-file") click_upload();
  if (type == "report") on_report(message);
}

void Viewer::click_upload() {
  webkit_web_view_evaluate_javascript(view_, "document.getElementById('upload-choose').click()", -1, nullptr, nullptr,
                                      nullptr, nullptr, nullptr);
}

gboolean Viewer::on_file_chooser(WebKitFileChooserRequest* request) {
  const std::array<const char*, 2> files{options_.file.c_str(), nullptr};
  webkit_file_chooser_request_select_files(request, files.data());
  return TRUE;
}

void Viewer::on_report(const nlohmann::json& report) {
  const auto findings = judge(report, options_.file_sha256);
  print(findings);
  if (!std::ranges::all_of(findings, &Finding::passed)) exit_code_ = 1;
  if (options_.screenshot.empty()) return end(exit_code_);
  stage_ = "the screenshot";
  webkit_web_view_get_snapshot(
      view_, WEBKIT_SNAPSHOT_REGION_VISIBLE, WEBKIT_SNAPSHOT_OPTIONS_NONE, nullptr,
      [](GObject*, GAsyncResult* result, gpointer self) { static_cast<Viewer*>(self)->on_snapshot(result); }, this);
}

void Viewer::on_snapshot(GAsyncResult* result) {
  g_autoptr(GError) error = nullptr;
  g_autoptr(GdkTexture) texture = webkit_web_view_get_snapshot_finish(view_, result, &error);
  if (texture == nullptr) return end(1, std::string("no screenshot: ") + error->message);
  if (!gdk_texture_save_to_png(texture, options_.screenshot.c_str())) {
    return end(1, "cannot write the screenshot to " + options_.screenshot);
  }
  end(exit_code_);
}

void Viewer::end(int code, const std::string& why) {
  if (!why.empty()) complain(why);
  if (code != 0) exit_code_ = code;
  g_main_loop_quit(loop_);
}

}  // namespace memio::demo

/* Shows a page whose script follows the region "hello": memio-hello-webkit hello.html */
#include <memio-webkit.h>
#include <webkit/webkit.h>

static void show(GtkApplication* app, GFile** files, int count, const char* hint, gpointer memio) {
  (void)count, (void)hint;
  GError* error = NULL;
  WebKitWebContext* context = webkit_web_context_new();
  if (!memio_webkit_allow(memio, "file://", "hello", MEMIO_WEBKIT_READ, &error) ||
      !memio_webkit_attach_context(memio, context, &error))
    g_error("%s", error->message);

  WebKitWebView* view = g_object_new(WEBKIT_TYPE_WEB_VIEW, "web-context", context, NULL);
  if (!memio_webkit_attach_view(memio, view, &error)) g_error("%s", error->message);
  webkit_web_view_load_uri(view, g_file_get_uri(files[0]));

  GtkWidget* window = gtk_application_window_new(app);
  gtk_window_set_child(GTK_WINDOW(window), GTK_WIDGET(view));
  gtk_window_present(GTK_WINDOW(window));
}

int main(int argc, char** argv) {
  MemioWebkit* memio = memio_webkit_new();
  GtkApplication* app = gtk_application_new("io.memio.Hello", G_APPLICATION_HANDLES_OPEN | G_APPLICATION_NON_UNIQUE);
  g_signal_connect(app, "open", G_CALLBACK(show), memio);
  return g_application_run(G_APPLICATION(app), argc, argv);
}

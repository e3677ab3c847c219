// SPDX-License-Identifier: MIT
#pragma once

// libmemio-webkit gives the pages of a WebKitGTK application access to memiod's regions of shared memory.
//
//     MemioWebkit *memio = memio_webkit_new ();
//     memio_webkit_allow (memio, "https://app.local", "telemetry.**", MEMIO_WEBKIT_READ, &error);
//     memio_webkit_attach_context (memio, context, &error);   before the context's first web view
//     memio_webkit_attach_view (memio, view, &error);         for each view
//
// Pages of the allowed origins then have a global `memio`, whose types the npm package memio-client has. Other pages
// have none and notice nothing. Frames inside a page have what they are allowed themselves, not what the page is.
// Instead of by calls, all that can be allowed can be written into a file: memio_webkit_load_policy().
//
// How it works: an extension in the web process asks its view for a connection when a page first uses `memio`; this
// library checks the view's own address against what was allowed, has memiod make a connection that can do no more than
// that, and sends the socket back. The web process never sees memiod's own socket, and works in WebKit's sandbox.
//
// One header for both libraries, memio-webkit-6.0 (WebKitGTK 6.0) and memio-webkit-4.1 (webkit2gtk-4.1). All functions
// belong to the main thread, the one that runs WebKit. None blocks: waiting for memiod is done in the main loop, and a
// memiod that does not answer within ten seconds is an error for the page. When memiod ends and is back, pages are
// connected again by themselves.
//
// Where things are: the socket is $MEMIO_SOCKET, else $XDG_RUNTIME_DIR/memio/io.memio, unless
// memio_webkit_set_socket_path() says otherwise. The extension is where it was installed, unless $MEMIO_WEBEXT_DIR
// names another directory (with the extension for this API in it and nothing else).

#include <gio/gio.h>

G_BEGIN_DECLS

#define MEMIO_WEBKIT_API __attribute__((visibility("default")))

typedef struct _WebKitWebContext WebKitWebContext;
typedef struct _WebKitWebView WebKitWebView;

#define MEMIO_TYPE_WEBKIT (memio_webkit_get_type())
MEMIO_WEBKIT_API G_DECLARE_FINAL_TYPE(MemioWebkit, memio_webkit, MEMIO, WEBKIT, GObject)

    // What a page may do with the regions, commands and topics that a pattern names.
    typedef enum {
      MEMIO_WEBKIT_READ = 1 << 0,   // open for reading, and list
      MEMIO_WEBKIT_WRITE = 1 << 1,  // open for writing
      MEMIO_WEBKIT_CREATE = 1 << 2,
      MEMIO_WEBKIT_REMOVE = 1 << 3,
      MEMIO_WEBKIT_WATCH = 1 << 4,   // list, and learn of changes without opening
      MEMIO_WEBKIT_INVOKE = 1 << 5,  // commands
      MEMIO_WEBKIT_HANDLE = 1 << 6,  // commands: be the one who answers
      MEMIO_WEBKIT_EMIT = 1 << 7,    // messages under these topics
      MEMIO_WEBKIT_LISTEN = 1 << 8,  // to these topics
      MEMIO_WEBKIT_ALL = (1 << 9) - 1
    } MemioWebkitRights;

#define MEMIO_TYPE_WEBKIT_RIGHTS (memio_webkit_rights_get_type())
MEMIO_WEBKIT_API GType memio_webkit_rights_get_type(void);

#define MEMIO_WEBKIT_ERROR (memio_webkit_error_quark())
MEMIO_WEBKIT_API GQuark memio_webkit_error_quark(void);

typedef enum {
  MEMIO_WEBKIT_ERROR_INVALID_PATTERN,   // of an origin or of names; the message says how they look
  MEMIO_WEBKIT_ERROR_INVALID_RIGHTS,    // none, or bits that mean nothing
  MEMIO_WEBKIT_ERROR_NO_EXTENSION,      // the directory of the web process extension is not there
  MEMIO_WEBKIT_ERROR_ATTACHED,          // the context or view is attached already
  MEMIO_WEBKIT_ERROR_INVALID_POLICY,    // of a file; the message says where, and what is expected there
  MEMIO_WEBKIT_ERROR_INVALID_OPTION,    // there is no such option; the message says which there are
  MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT,  // no JSON, no name of a region, a view that is not attached
  MEMIO_WEBKIT_ERROR_NO_REGION,         // no region of that name, or none that the page may know of
  MEMIO_WEBKIT_ERROR_REFUSED,           // the page may not have the buffer; the message says why
  MEMIO_WEBKIT_ERROR_NOT_TAKEN          // the page went away, or no script of it wanted the buffer
} MemioWebkitError;

// memio_webkit_new:
//
// A policy that allows nothing yet. Keep it as long as the views that are attached to it.
//
// Returns: (transfer full): a new #MemioWebkit
MEMIO_WEBKIT_API MemioWebkit* memio_webkit_new(void);

// memio_webkit_set_socket_path:
// @path: (nullable): where memiod listens; %NULL for the default
MEMIO_WEBKIT_API void memio_webkit_set_socket_path(MemioWebkit* self, const char* path);

// memio_webkit_allow:
// @origins: which pages: "https://app.local", "https://[*].example.org:8443" without the brackets (hosts below
//   example.org), "file://", or "*" for every page. The host, the port or both may be *, for any. Without a port the
//   scheme's own is meant.
// @names: which regions, as memiod's grants name them: * for any run of characters but /, ** for any run at all
// @rights: what those pages may do with those regions
//
// Adds to what pages may do, in their main frames. Web processes learn of origins when they start, so call this before
// the views load anything; for an origin that had grants already new ones count from its next connection on.
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_PATTERN or %MEMIO_WEBKIT_ERROR_INVALID_RIGHTS
MEMIO_WEBKIT_API gboolean memio_webkit_allow(MemioWebkit* self, const char* origins, const char* names,
                                             MemioWebkitRights rights, GError** error);

// memio_webkit_allow_inside:
// @within: the pages, written as @origins
// @origins: which frames inside them, as in memio_webkit_allow(). Frames without an origin of their own (sandboxed,
//   about:srcdoc, data:) and frames of files are never meant
//
// The same for frames inside a page. Every frame around such a frame must be of @within.
//
// The origin of the page is the view's; which frames are in it only its web process knows. So a web process that was
// taken over may have all that is allowed inside its page, whichever frames that really has.
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_PATTERN or %MEMIO_WEBKIT_ERROR_INVALID_RIGHTS
MEMIO_WEBKIT_API gboolean memio_webkit_allow_inside(MemioWebkit* self, const char* within, const char* origins,
                                                    const char* names, MemioWebkitRights rights, GError** error);

// memio_webkit_enable:
// @origins: for which pages and frames, of those that are allowed something; as in memio_webkit_allow()
// @option: "workers", for regions as SharedArrayBuffers; or a compatibility layer: "memio-tauri" or "webview2"
//
// "workers" turns SharedArrayBuffer on in all web processes that this program starts from then on, by setting
// JSC_useSharedArrayBuffer in the environment; so enable it early in main(), before other threads use that. WebKit
// leaves it off because threads that share memory make a precise clock, which helps attacks like Spectre. Such pages
// also get to see the lease tables of their regions, and can harm others that have these open as any program can that
// has them open (proto/REGION_FORMAT.md).
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_PATTERN or %MEMIO_WEBKIT_ERROR_INVALID_OPTION
MEMIO_WEBKIT_API gboolean memio_webkit_enable(MemioWebkit* self, const char* origins, const char* option,
                                              GError** error);

// memio_webkit_load_policy:
// @path: a JSON file; webext/POLICY.md has its format
//
// Adds the file's rules. All or, if there is a mistake in it, none.
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_POLICY, or a #GFileError if it cannot be read
MEMIO_WEBKIT_API gboolean memio_webkit_load_policy(MemioWebkit* self, const char* path, GError** error);

// memio_webkit_attach_context:
// @context: one that has started no web process yet
//
// Makes the context's web processes load the extension, and turns their sandbox on (4.1; in 6.0 it always is).
//
// A context has one directory of extensions and one initialization user data. An application that uses these itself
// does not call this, but puts a symbolic link to the extension (the .so in memio_webkit_get_extension_directory())
// into its own directory, and the entries of memio_webkit_get_initialization_data() into its own user data, which must
// then be an a{sv} as well. The sandbox has to show both directories, unless they are below /usr
// (webkit_web_context_add_path_to_sandbox()), and in 4.1 has to be turned on.
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_NO_EXTENSION or %MEMIO_WEBKIT_ERROR_ATTACHED
MEMIO_WEBKIT_API gboolean memio_webkit_attach_context(MemioWebkit* self, WebKitWebContext* context, GError** error);

// memio_webkit_attach_view:
//
// Serves the pages that the view shows. Uses its signals user-message-received, for messages whose names start with
// "memio.", and load-changed. Call it before the view loads a page that needs it.
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_ATTACHED
MEMIO_WEBKIT_API gboolean memio_webkit_attach_view(MemioWebkit* self, WebKitWebView* view, GError** error);

// memio_webkit_await_read:
// @frame: 0 for the page's main frame, or a frame's number as MemioWebkit::web-message gives it
// @region: the name of a region
// @sequence: which publish, as memio_region_write() and the like return it
// @cancellable: (nullable): stops waiting
// @callback: called when a script has read it, or none will
//
// Waits until a script of the document has read this publish of the region with read(), or a later one: now or at any
// time before. Costs the page nothing until then. What workers read is not noticed.
MEMIO_WEBKIT_API void memio_webkit_await_read(MemioWebkit* self, WebKitWebView* view, guint64 frame, const char* region,
                                              guint64 sequence, GCancellable* cancellable, GAsyncReadyCallback callback,
                                              gpointer user_data);

// memio_webkit_await_read_finish:
//
// Returns: %TRUE once it has been read; else %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT,
// %MEMIO_WEBKIT_ERROR_NOT_TAKEN if the document is left or has no memio, or %G_IO_ERROR_CANCELLED
MEMIO_WEBKIT_API gboolean memio_webkit_await_read_finish(MemioWebkit* self, GAsyncResult* result, GError** error);

// Pages that were written for WebView2 (the compatibility "webview2" of the policy) find chrome.webview. What follows
// is the application's side of it.

// What a page's script may do with a buffer that is posted to it.
typedef enum {
  // Storing into it harms nobody: the script sees its own stores, and nobody else does.
  MEMIO_WEBKIT_BUFFER_READ_ONLY,
  // For regions with one slot: script and native programs write the same bytes.
  MEMIO_WEBKIT_BUFFER_READ_WRITE
} MemioWebkitBufferAccess;

#define MEMIO_TYPE_WEBKIT_BUFFER_ACCESS (memio_webkit_buffer_access_get_type())
MEMIO_WEBKIT_API GType memio_webkit_buffer_access_get_type(void);

// memio_webkit_post_shared_buffer:
// @view: which page gets the buffer
// @frame: 0 for its main frame, or a frame's number as MemioWebkit::web-message gives it
// @region: the name of a region that the page is granted: to read, or to write for a read-write buffer
// @additional_data: (nullable): JSON for the script; %NULL or "" for none
// @cancellable: (nullable): stops waiting; the page may take the buffer all the same
// @callback: called when a script has taken the buffer, or none will
//
// Posts a region to the page as WebView2's PostSharedBufferToScript does: chrome.webview fires sharedbufferreceived,
// whose getBuffer() gives an ArrayBuffer over the region's memory. A region with one slot is shown as it is, all of its
// capacity and live. Of one with more slots the page gets the latest publish, and exactly its length; that slot stays
// leased until the page calls chrome.webview.releaseBuffer(), drops the buffer or goes, so keep some slots to spare.
//
// To publish what a script has written into a read-write buffer, call begin() and commit() on the region: in a
// region with one slot they leave the bytes as they are.
//
// The page opens the region itself, so this gives it nothing that it is not granted.
MEMIO_WEBKIT_API void memio_webkit_post_shared_buffer(MemioWebkit* self, WebKitWebView* view, guint64 frame,
                                                      const char* region, MemioWebkitBufferAccess access,
                                                      const char* additional_data, GCancellable* cancellable,
                                                      GAsyncReadyCallback callback, gpointer user_data);

// memio_webkit_post_shared_buffer_finish:
//
// Returns: %TRUE once a script has called getBuffer(); else %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT
// (WebView2's E_INVALIDARG), %MEMIO_WEBKIT_ERROR_NO_REGION (its RO_E_CLOSED), %MEMIO_WEBKIT_ERROR_REFUSED,
// %MEMIO_WEBKIT_ERROR_NOT_TAKEN or %G_IO_ERROR_CANCELLED
MEMIO_WEBKIT_API gboolean memio_webkit_post_shared_buffer_finish(MemioWebkit* self, GAsyncResult* result,
                                                                 GError** error);

// memio_webkit_post_web_message:
// @frame: as in memio_webkit_post_shared_buffer()
// @json: what the page's `message` event has as its data
//
// Sends the document of a frame a message. A page without chrome.webview does not notice it.
//
// Returns: %FALSE with %MEMIO_WEBKIT_ERROR_INVALID_ARGUMENT
MEMIO_WEBKIT_API gboolean memio_webkit_post_web_message(MemioWebkit* self, WebKitWebView* view, guint64 frame,
                                                        const char* json, GError** error);

// MemioWebkit::web-message: (self, WebKitWebView* view, guint64 frame, const char* json, const char* uri)
//
// A document has called chrome.webview.postMessage(), and the policy enables "webview2" for it. @json is its argument,
// @uri its address. @frame is 0 for the main frame; a frame inside the page has a number, its WebKitFrame's id, which
// stays the same as long as it shows that document.

// memio_webkit_get_extension_directory:
//
// Returns: (transfer none): where the extension for this API is
MEMIO_WEBKIT_API const char* memio_webkit_get_extension_directory(void);

// memio_webkit_get_initialization_data:
//
// What the extension must find in the context's initialization user data: an a{sv}.
//
// Returns: (transfer floating): a new #GVariant
MEMIO_WEBKIT_API GVariant* memio_webkit_get_initialization_data(MemioWebkit* self);

G_END_DECLS

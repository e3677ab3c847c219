// SPDX-License-Identifier: MIT
#pragma once

// What the web process extension and libmemio-webkit say to each other. Both come from one build, but an application
// may be updated while it runs, so each checks the types of what it gets.

namespace memio::webext {

// In the extensions' initialization user data, an a{sv}: the policy's rules, as far as web processes have to know them,
// an array of document_rule_type (frame_rule.h).
inline constexpr const char* rules_key = "memio.rules";

// From the extension to its view: a document wants a connection to memiod. Its parameter is the address of a frame
// inside the page; empty for the main frame, whose address the view knows itself. Answered with `connected`, which
// carries one socket, or with `refused`, whose parameters are (error name, message).
inline constexpr const char* connect_message = "memio.connect";
inline constexpr const char* connect_type = "(s)";
inline constexpr const char* connected_message = "memio.connected";
inline constexpr const char* refused_message = "memio.refused";
inline constexpr const char* refused_type = "(ss)";

// From the application to a document: a region, as a shared buffer. Parameters: frame (its WebKitFrame's id; 0: the
// main frame), region, access (`read_only_access` or `read_write_access`), JSON that goes with it (empty: none).
// Answered with `taken` once a script has the buffer, else with `refused`.
inline constexpr const char* post_message = "memio.post";
inline constexpr const char* post_type = "(tsss)";
inline constexpr const char* read_only_access = "read-only";
inline constexpr const char* read_write_access = "read-write";
inline constexpr const char* taken_message = "memio.taken";

// From the application to a document: wait until a script has read a region. Parameters: frame, region, sequence.
// Answered with `taken` or with `refused`.
inline constexpr const char* await_read_message = "memio.await-read";
inline constexpr const char* await_read_type = "(tst)";

// What chrome.webview.postMessage() sends. Parameters: frame (0: the main frame), the frame's address (empty for the
// main frame, as above), JSON.
inline constexpr const char* from_page_message = "memio.from-page";
inline constexpr const char* from_page_type = "(tss)";
// What its `message` events bring. Parameters: frame, JSON.
inline constexpr const char* to_page_message = "memio.to-page";
inline constexpr const char* to_page_type = "(ts)";

}  // namespace memio::webext

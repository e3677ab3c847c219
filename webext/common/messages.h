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

}  // namespace memio::webext

// SPDX-License-Identifier: MIT
#pragma once

// What the web process extension and libmemio-webkit say to each other. Both come from one build, but an application
// may be updated while it runs, so each checks the types of what it gets.

namespace memio::webext {

// In the extensions' initialization user data, an a{sv}: the origin patterns that have grants, an "as".
inline constexpr const char* origins_key = "memio.origins";

// From the extension to its view: the main frame's document wants a connection to memiod. Answered with
// `connected`, which carries one socket, or with `refused`, whose parameters are (error name, message).
inline constexpr const char* connect_message = "memio.connect";
inline constexpr const char* connected_message = "memio.connected";
inline constexpr const char* refused_message = "memio.refused";
inline constexpr const char* refused_type = "(ss)";

}  // namespace memio::webext

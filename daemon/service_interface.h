// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "memio/message.h"

// The interface org.varlink.service, by which any Varlink client can ask what there is.
namespace memio::broker::service {

inline constexpr std::string_view get_info_method = "org.varlink.service.GetInfo";
inline constexpr std::string_view get_interface_description_method = "org.varlink.service.GetInterfaceDescription";

Result<Json> get_info(const Json& parameters);
Result<Json> get_interface_description(const Json& parameters);

// The error for a method that is not there: its interface is unknown, or the method itself is.
[[nodiscard]] Error unknown_method(const std::string& method);

}  // namespace memio::broker::service

// SPDX-License-Identifier: MIT
#include "service_interface.h"

#include "memio/protocol_json.h"
#include "version.h"

namespace memio::broker::service {

namespace {

constexpr std::string_view service_interface = "org.varlink.service";

// https://varlink.org/Service
constexpr std::string_view service_description = R"(# What every Varlink service can tell of itself.
interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)

method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error PermissionDenied ()
error ExpectedMore ()
)";

}  // namespace

Result<Json> get_info(const Json& parameters) {
  if (!parameters.empty()) return fail(Errc::invalid_parameter, parameters.begin().key());
  return Json{{"vendor", "memiod"},
              {"product", "memiod"},
              {"version", project_version},
              {"url", "https://varlink.org/"},
              {"interfaces", {service_interface, protocol::interface_name}}};
}

Result<Json> get_interface_description(const Json& parameters) {
  const auto interface = parameters.find("interface");
  if (interface == parameters.end() || !interface->is_string()) return fail(Errc::invalid_parameter, "interface");
  for (const auto& [name, value] : parameters.items())
    if (name != "interface") return fail(Errc::invalid_parameter, name);
  if (*interface == protocol::interface_name) return Json{{"description", protocol::interface_description}};
  if (*interface == service_interface) return Json{{"description", service_description}};
  return fail(Errc::interface_not_found, interface->get<std::string>());
}

Error unknown_method(const std::string& method) {
  const auto interface = method.substr(0, method.rfind('.'));
  const bool known = interface == protocol::interface_name || interface == service_interface;
  return known ? Error{Errc::method_not_found, 0, method} : Error{Errc::interface_not_found, 0, interface};
}

}  // namespace memio::broker::service

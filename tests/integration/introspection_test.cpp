// SPDX-License-Identifier: MIT
// Any Varlink client can ask what there is.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "memio/protocol_json.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {
namespace {

using Introspection = DaemonTest;

TEST_F(Introspection, GetInfoNamesTheInterfaces) {
  RawConnection raw(daemon_.socket_path());
  for (const auto* call :
       {R"({"method":"org.varlink.service.GetInfo"})", R"({"method":"org.varlink.service.GetInfo","parameters":{}})",
        R"({"method":"org.varlink.service.GetInfo","parameters":null})"}) {
    const auto reply = raw.ask(call);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->error, "");
    EXPECT_EQ(reply->parameters["product"], "memiod");
    EXPECT_EQ(reply->parameters["interfaces"], Json({"org.varlink.service", "io.memio"}));
    for (const auto* field : {"vendor", "version", "url"}) EXPECT_TRUE(reply->parameters[field].is_string());
  }
}

TEST_F(Introspection, TheDescriptionIsTheInterfaceFile) {
  std::ifstream file(INTERFACE_PATH);
  std::stringstream text;
  text << file.rdbuf();
  RawConnection raw(daemon_.socket_path());
  const auto reply =
      raw.ask(R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.memio"}})");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->parameters["description"], text.str());
}

TEST_F(Introspection, UnknownInterfacesAndParametersAreErrors) {
  RawConnection raw(daemon_.socket_path());
  EXPECT_EQ(
      raw.ask(R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"a.b"}})")->error,
      "org.varlink.service.InterfaceNotFound");
  EXPECT_EQ(raw.ask(R"({"method":"org.varlink.service.GetInterfaceDescription"})")->error,
            "org.varlink.service.InvalidParameter");
  EXPECT_EQ(raw.ask(R"({"method":"org.varlink.service.GetInfo","parameters":{"x":1}})")->error,
            "org.varlink.service.InvalidParameter");
  const auto extra = raw.ask(
      R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.memio","colour":1}})");
  ASSERT_TRUE(extra);
  EXPECT_EQ(extra->error, "org.varlink.service.InvalidParameter");
  EXPECT_EQ(extra->parameters["parameter"], "colour");
}

// Every method that the interface file names is there: none answers MethodNotFound.
TEST_F(Introspection, EveryMethodOfTheInterfaceExists) {
  std::istringstream description{std::string(protocol::interface_description)};
  int methods = 0;
  for (std::string line; std::getline(description, line);) {
    if (!line.starts_with("method ")) continue;
    ++methods;
    const auto name = line.substr(7, line.find('(') - 7);
    RawConnection raw(daemon_.socket_path());
    const auto reply = raw.ask(R"({"method":"io.memio.)" + name + R"(","parameters":{"nonsense":1},"more":true})");
    ASSERT_TRUE(reply) << name;
    EXPECT_EQ(reply->error, "org.varlink.service.InvalidParameter") << name;
  }
  EXPECT_EQ(methods, 22);
}

}  // namespace
}  // namespace memio::test

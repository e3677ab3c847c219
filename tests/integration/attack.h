// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include "support/charges.h"
#include "support/daemon.h"
#include "support/raw_connection.h"

namespace memio::test {

constexpr std::string_view list_call = R"({"method":"io.memio.List"})";

class Attack : public DaemonTest {
 protected:
  using DaemonTest::DaemonTest;
  Client bystander_ = daemon_.connect();
  Region region_ = std::move(*bystander_.create("bystander", {.capacity = 16}));
  std::size_t fds_before_ = 0;
  Charges charges_before_;

  void SetUp() override {
    // Once this is answered, the daemon has closed what it handed out before.
    ASSERT_TRUE(bystander_.list());
    charges_before_ = charges_by(bystander_);
    fds_before_ = daemon_.open_fds();
  }
  void TearDown() override {
    // Connections are taken in their order: once this one is answered, all that the test has made are known.
    EXPECT_TRUE(daemon_.connect().list());
    // A connection that is over is noticed in the loop's own time: each answered call is another turn of it.
    for (int i = 0; i < 1000 && leaks(); ++i) {
    }
    EXPECT_EQ(daemon_.open_fds(), fds_before_) << "the daemon leaks descriptors";
    EXPECT_EQ(charges_by(bystander_), charges_before_) << "something is not given back";
    EXPECT_EQ(bystander_.list()->size(), 1U);
  }
  bool leaks() { return charges_by(bystander_) != charges_before_ || daemon_.open_fds() != fds_before_; }

  static void expect_error(const std::optional<Reply>& reply, std::string_view name, std::string_view part) {
    ASSERT_TRUE(reply) << "the connection was closed";
    EXPECT_EQ(reply->error, name);
    EXPECT_NE(reply->parameters.dump().find(part), std::string::npos) << reply->parameters.dump();
  }
};

}  // namespace memio::test

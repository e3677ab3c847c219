// SPDX-License-Identifier: MIT
#pragma once

#include "memio/client.h"
#include "must.h"
#include "support/memiod.h"

namespace memio::bench {

class Daemon : public test::Memiod {
 public:
  using test::Memiod::Memiod;
  [[nodiscard]] Client connect() const { return must(Client::connect(socket_path())); }
};

}  // namespace memio::bench

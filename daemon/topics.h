// SPDX-License-Identifier: MIT
#pragma once

// Who listens to which topics. A message is put into the mailboxes of those who do, once each, and the emitter is done.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mailbox.h"

namespace memio::broker {

class Topics {
 public:
  Topics() = default;
  Topics(const Topics&) = delete;
  Topics& operator=(const Topics&) = delete;

  // Listening twice to one pattern is ended by two unlisten(). Error: limit_exceeded.
  Result<void> listen(std::string pattern, Mailbox& by);
  // Error: invalid_parameter if it does not listen to it.
  Result<void> unlisten(const std::string& pattern, Mailbox& by);
  // How many mailboxes it was put into, or would have been if they had not been full.
  std::size_t emit(const std::string& topic, std::optional<JsonText> payload);
  // A mailbox goes.
  void forget(const Mailbox& mailbox);

  [[nodiscard]] std::size_t listens(const Mailbox& mailbox) const noexcept;
  [[nodiscard]] std::size_t listeners() const noexcept { return listeners_.size(); }
  [[nodiscard]] std::uint64_t emitted() const noexcept { return emitted_; }

 private:
  struct Listen {
    std::string pattern;
    Charge charge;
  };
  struct Listener {
    Mailbox* mailbox;
    std::vector<Listen> listens;
  };
  std::vector<Listener>::iterator find(const Mailbox& mailbox) noexcept;

  std::vector<Listener> listeners_;  // each has some
  std::uint64_t emitted_ = 0;
};

}  // namespace memio::broker

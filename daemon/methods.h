// SPDX-License-Identifier: MIT
#pragma once

#include "broker.h"

namespace memio::broker {

// Answers one call of a session: finds the method, reads its parameters, calls its handler, sends the reply or the
// error.
void answer_call(Broker& broker, Session& session, const Call& call, Frame frame);

}  // namespace memio::broker

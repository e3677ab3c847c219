// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "broker.h"
#include "memio/protocol.h"

namespace memio::broker {

// What there is to be measured, now.
[[nodiscard]] std::vector<protocol::MetricFamily> collect_metrics(Broker& broker);

// The same as text: https://prometheus.io/docs/specs/om/open_metrics_spec/
[[nodiscard]] std::string to_open_metrics(const std::vector<protocol::MetricFamily>& families);

}  // namespace memio::broker

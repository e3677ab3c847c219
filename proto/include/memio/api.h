// SPDX-License-Identifier: MIT
#pragma once

// What libmemio-client exports: everything else in it is hidden.
#define MEMIO_API __attribute__((visibility("default")))

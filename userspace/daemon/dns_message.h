// SPDX-License-Identifier: GPL-2.0-or-later
// A question for NS records and what counts as an answer to it: RFC 1035.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "util/result.h"

namespace linkbal {

// With id 0. `name` is a domain name: "." or "example.org".
Result<std::vector<uint8_t>> dns_query(const std::string& name);
void set_dns_id(std::span<uint8_t> query, uint16_t id);

// The id, if the server could be asked: NOERROR or NXDOMAIN to the question of `query`. SERVFAIL and
// REFUSED say that it could not.
std::optional<uint16_t> answered_dns_id(std::span<const uint8_t> message,
                                        std::span<const uint8_t> query);

} // namespace linkbal

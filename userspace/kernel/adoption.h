// SPDX-License-Identifier: GPL-2.0-or-later
// Connections that are older than the first `up`.
#pragma once

#include <cstdint>
#include <map>

#include "core/address.h"
#include "util/result.h"

namespace linkbal {

// Gives every connection of the conntrack table the mark of the uplink that it uses already, within
// `mask`: of the address in `marks` that it is masqueraded to, or that it came in for. All others get
// none of our bits, so that marks from before a former `down` mean nothing. One pass over the table; a
// connection that ends meanwhile is no error. IPv4 and IPv6, default zone and others.
Status adopt_connections(const std::map<IpAddress, uint32_t>& marks, uint32_t mask);

} // namespace linkbal

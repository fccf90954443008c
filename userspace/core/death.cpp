// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/death.h"

namespace linkbal {

std::set<IpAddress> addresses_in_use(const Facts& facts) {
    std::set<IpAddress> in_use;
    for (const Interface& interface : facts.interfaces) {
        if (interface.up) {
            for (const InterfaceAddress& address : interface.addresses) {
                in_use.insert(address.address);
            }
        }
    }
    return in_use;
}

Fate fate_of(const Death& death, const std::set<IpAddress>& in_use, Time now) {
    if (!in_use.contains(death.outer)) {
        return Fate::reset;
    }
    return now - death.heard < death_patience ? Fate::wait : Fate::leave;
}

} // namespace linkbal

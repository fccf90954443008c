// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/facts.h"

#include <algorithm>

namespace linkbal {

const Interface* Facts::interface(std::string_view name) const {
    const auto found = std::ranges::find(interfaces, name, &Interface::name);
    return found == interfaces.end() ? nullptr : &*found;
}

std::vector<InterfaceAddress> global_addresses(const Interface& interface, Family family) {
    std::vector<InterfaceAddress> addresses;
    for (const InterfaceAddress& address : interface.addresses) {
        if (address.address.family() == family && !address.link_scope) {
            addresses.push_back(address);
        }
    }
    return addresses;
}

const Interface* owner_of(const IpAddress& address, const Facts& facts) {
    const auto has = [&](const Interface& interface) {
        return std::ranges::find(interface.addresses, address, &InterfaceAddress::address) !=
               interface.addresses.end();
    };
    const auto owner = std::ranges::find_if(facts.interfaces, has);
    return owner == facts.interfaces.end() ? nullptr : &*owner;
}

bool has_default_through(const Facts& facts, Family family, std::string_view device) {
    return std::ranges::any_of(facts.foreign_routes, [&](const Route& route) {
        return route.table == main_table && route.destination == Prefix::any(family) &&
               std::ranges::find(route.hops, device, &NextHop::device) != route.hops.end();
    });
}

} // namespace linkbal

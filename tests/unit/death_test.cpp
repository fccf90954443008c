// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of the clients of connections that the kernel has ended by itself.
#include "core/death.h"
#include "support/catch.h"

using namespace linkbal;
using namespace std::chrono_literals;

namespace {

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

Interface interface(bool up, const char* own) {
    Interface made;
    made.name = "eth1";
    made.up = up;
    made.addresses.push_back({.address = address(own), .prefix_length = 24, .peer = {}});
    return made;
}

Facts facts(bool up) {
    Facts made;
    made.interfaces = {interface(true, "192.0.2.1"), interface(up, "198.51.100.2"),
                       interface(up, "2001:db8:1::2")};
    return made;
}

const Time heard = Time() + 1h;

Death death(const char* outer) {
    const bool ipv4 = address(outer).family() == Family::ipv4;
    return {{address(ipv4 ? "192.0.2.9" : "2001:db8::9"),
             address(ipv4 ? "203.0.113.9" : "2001:db8:ff::9"), 4000, 443},
            address(outer),
            heard};
}

} // namespace

TEST_CASE("who had an address that is gone is reset, at once and later") {
    const auto* own = GENERATE("198.51.100.2", "2001:db8:1::2");
    CHECK(fate_of(death(own), {}, heard) == Fate::reset);
    CHECK(fate_of(death(own), addresses_in_use({}), heard + 1h) == Fate::reset);
    CHECK(fate_of(death("198.51.100.3"), addresses_in_use(facts(true)), heard) == Fate::reset);
}

TEST_CASE("an interface that is switched off keeps addresses, but nobody is reached by them") {
    const auto* own = GENERATE("198.51.100.2", "2001:db8:1::2");
    CHECK(fate_of(death(own), addresses_in_use(facts(true)), heard) == Fate::wait);
    CHECK(fate_of(death(own), addresses_in_use(facts(false)), heard) == Fate::reset);
}

TEST_CASE("who had an address that is still ours is looked at again, but not for long") {
    const auto in_use = addresses_in_use(facts(true));
    const Death one = death("198.51.100.2");
    CHECK(fate_of(one, in_use, heard + death_patience - 1ms) == Fate::wait);
    CHECK(fate_of(one, in_use, heard + death_patience) == Fate::leave);
    CHECK(fate_of(one, in_use, heard + 1h) == Fate::leave);
}

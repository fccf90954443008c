// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/catch.h"

#include "core/address.h"

using linkbal::IpAddress;
using linkbal::Prefix;

TEST_CASE("addresses and prefixes survive parsing and printing") {
    for (const char* text : {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::"}) {
        REQUIRE(IpAddress::parse(text));
        CHECK(IpAddress::parse(text)->str() == text);
    }
    for (const char* text :
         {"192.0.2.0/24", "192.0.2.128/25", "0.0.0.0/0", "2001:db8::/32", "::/0"}) {
        REQUIRE(Prefix::parse(text));
        CHECK(Prefix::parse(text)->str() == text);
    }
}

TEST_CASE("what is no address or prefix is refused") {
    for (const char* text : {"", "192.0.2", "192.0.2.256", "2001:db8::g", "192.0.2.1/24x"}) {
        CHECK_FALSE(IpAddress::parse(text));
    }
    for (const char* text : {"192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1",
                             "2001:db8::/129", "2001:db8::1/64"}) {
        CHECK_FALSE(Prefix::parse(text));
    }
}

TEST_CASE("a prefix contains its own and overlaps its halves") {
    const auto net = Prefix::parse("192.0.2.0/25").value();
    CHECK(net.contains(IpAddress::parse("192.0.2.127").value()));
    CHECK_FALSE(net.contains(IpAddress::parse("192.0.2.128").value()));
    CHECK_FALSE(net.contains(IpAddress::parse("2001:db8::1").value()));
    CHECK(net.contains(net));
    CHECK(net.contains(Prefix::parse("192.0.2.64/26").value()));
    CHECK_FALSE(net.contains(Prefix::parse("192.0.2.0/24").value()));
    CHECK_FALSE(net.contains(Prefix::parse("192.0.2.128/26").value()));
    CHECK_FALSE(Prefix::parse("0.0.0.0/0")->contains(Prefix::parse("::/0").value()));
    CHECK(net.overlaps(Prefix::parse("192.0.2.64/26").value()));
    CHECK(Prefix::parse("192.0.0.0/16")->overlaps(net));
    CHECK_FALSE(net.overlaps(Prefix::parse("192.0.2.128/25").value()));
    CHECK(Prefix::parse("0.0.0.0/0")->overlaps(net));
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/known_neighbours.h"

#include "support/catch.h"

using namespace linkbal;

namespace {

constexpr LinkAddress one{2, 0, 0, 0, 0, 1};
constexpr LinkAddress other{2, 0, 0, 0, 0, 2};

NeighbourNews news(uint32_t interface, const char* address, std::optional<LinkAddress> link) {
    return {interface, IpAddress::parse(address).value(), link};
}

NeighbourNews numbered(uint32_t number, LinkAddress link) {
    const std::array<uint8_t, 4> bytes{10, static_cast<uint8_t>(number >> 16),
                                       static_cast<uint8_t>(number >> 8),
                                       static_cast<uint8_t>(number)};
    return {1, IpAddress(bytes), link};
}

} // namespace

TEST_CASE("a neighbour changes when its link-layer address is another one or gone") {
    for (const char* address : {"192.0.2.9", "2001:db8::9"}) {
        KnownNeighbours known;
        CHECK_FALSE(known.changes(news(1, address, one))); // new
        CHECK_FALSE(known.changes(news(1, address, one))); // stale, probed, reachable ...
        CHECK(known.changes(news(1, address, other)));
        CHECK_FALSE(known.changes(news(1, address, other)));
        CHECK(known.changes(news(1, address, std::nullopt)));
        CHECK_FALSE(known.changes(news(1, address, std::nullopt)));
        CHECK_FALSE(known.changes(news(1, address, one))); // new again
    }
}

TEST_CASE("neighbours are told apart by interface and address") {
    KnownNeighbours known;
    CHECK_FALSE(known.changes(news(1, "192.0.2.9", one)));
    CHECK_FALSE(known.changes(news(2, "192.0.2.9", other)));
    CHECK_FALSE(known.changes(news(1, "192.0.2.10", other)));
    CHECK(known.changes(news(2, "192.0.2.9", std::nullopt)));
    CHECK(known.changes(news(1, "192.0.2.9", other)));
}

TEST_CASE("who has never been known does not fail") {
    KnownNeighbours known;
    CHECK_FALSE(known.changes(news(1, "192.0.2.77", std::nullopt)));
    CHECK(known.size() == 0);
}

TEST_CASE("they have a bound, and who is heard of stays") {
    KnownNeighbours known;
    for (uint32_t i = 0; i < 200000; ++i) {
        CHECK_FALSE(known.changes(numbered(i + 1, one)));
        if (i % 1000 == 0) {
            CHECK_FALSE(known.changes(numbered(0, one)));
        }
        REQUIRE(known.size() <= KnownNeighbours::most);
    }
    CHECK(known.changes(numbered(0, other)));
    CHECK(known.changes(numbered(199999, other)));
    CHECK_FALSE(known.changes(numbered(1, other))); // not known any more
}

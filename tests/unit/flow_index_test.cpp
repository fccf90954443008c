// SPDX-License-Identifier: GPL-2.0-or-later
// Where flows lie in the cache: values that no change may change by accident, and how evenly they fill it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include <arpa/inet.h>

#include "linkbal/hash.h"
#include "support/catch.h"

namespace {

constexpr uint32_t flows = 100'000;
constexpr uint32_t tcp = 6, udp = 17;

// Words as they lie in a packet.
using Words4 = std::array<uint32_t, 3>;
using Words6 = std::array<uint32_t, 9>;

// Computed by another program from the definition in linkbal/hash.h; of a little-endian machine.
struct Vector {
    std::vector<uint32_t> words;
    uint32_t protocol;
    uint32_t seed;
    uint64_t hash;
    uint32_t index; // among 1000 buckets
};

uint32_t ports(uint32_t source, uint32_t destination) { return htonl(source << 16 | destination); }

template <typename Words>
uint32_t bucket_of(const Words& words, uint32_t protocol, uint32_t buckets) {
    const uint64_t hash =
        lb_flow_hash(words.data(), static_cast<uint32_t>(words.size()), protocol, 0x12345678);
    return lb_flow_index(hash, buckets) / LB_WAYS;
}

// Clients of a /16 that talk to a few servers, each by ports that follow one another.
Words4 sequential4(uint32_t i) {
    return {htonl(0x0a000000 + i / 500), htonl(0xcb007114 + i % 5), ports(32768 + i % 500, 443)};
}
Words6 sequential6(uint32_t i) {
    return {htonl(0x20010db8),          0,        0, htonl(0x10 + i / 500),
            htonl(0x20010db8),          htonl(2), 0, htonl(i % 5),
            ports(32768 + i % 500, 443)};
}

// How many buckets have 0, 1, ... flows, if `bucket(i)` is that of flow i.
template <typename Bucket>
std::vector<uint32_t> filling(uint32_t buckets, Bucket bucket) {
    std::vector<uint32_t> count(buckets);
    for (uint32_t i = 0; i < flows; ++i) {
        ++count.at(bucket(i));
    }
    std::vector<uint32_t> sizes(64);
    for (const uint32_t size : count) {
        ++sizes.at(std::min<uint32_t>(size, 63));
    }
    return sizes;
}

// Of Poisson's distribution with mean `mean`.
double probability(double mean, uint32_t k) {
    return std::exp(k * std::log(mean) - mean - std::lgamma(k + 1.0));
}

// Counts of buckets are off by less than five standard deviations.
void check_poisson(const std::vector<uint32_t>& sizes, uint32_t buckets) {
    const double mean = static_cast<double>(flows) / buckets;
    for (uint32_t k = 0; k < 20; ++k) {
        const double expected = buckets * probability(mean, k);
        INFO(k << " flows: " << sizes.at(k) << " buckets, " << expected << " expected");
        CHECK(std::abs(sizes.at(k) - expected) < 5 * std::sqrt(expected + 1));
    }
}

// The share of flows that find no place among LB_WAYS.
double overflow(const std::vector<uint32_t>& sizes) {
    uint64_t over = 0;
    for (uint32_t k = LB_WAYS + 1; k < sizes.size(); ++k) {
        over += uint64_t{sizes[k]} * (k - LB_WAYS);
    }
    return static_cast<double>(over) / flows;
}

template <typename Bucket>
void check_distribution(Bucket bucket) {
    const uint32_t half_full = flows / LB_WAYS * 2;
    const auto sizes = filling(half_full, [&](uint32_t i) { return bucket(i, half_full); });
    check_poisson(sizes, half_full);
    CHECK(overflow(sizes) < 0.015);
    const uint32_t full = flows / LB_WAYS;
    check_poisson(filling(full, [&](uint32_t i) { return bucket(i, full); }), full);
}

} // namespace

TEST_CASE("hashes of flows are what they have always been") {
    const std::vector<Vector> vectors = {
        {{0x0a0200c0, 0x147100cb, 0xbb01409c}, 6, 0x0, 0x6e2cb0ec847a9064, 3444},
        {{0x0a0200c0, 0x147100cb, 0xbb01409c}, 17, 0x0, 0xf76463db1d324353, 7731},
        {{0x0a0200c0, 0x147100cb, 0xbb01409c}, 6, 0x12345678, 0x889d554b4c16b5ae, 4270},
        {{0x147100cb, 0x0a0200c0, 0x409cbb01}, 6, 0x12345678, 0xbf0dc563453839af, 5975},
        {{0x00000000, 0x00000000, 0x00000000}, 0, 0x0, 0x0000000000000000, 0},
        {{0xffffffff, 0xffffffff, 0xffffffff}, 17, 0xffffffff, 0x182506be56d8db1a, 754},
        {{0xb80d0120, 0x00000100, 0x00000000, 0x10000000, 0xb80d0120, 0x00000200, 0x00000000,
          0x20000000, 0xbb01409c},
         6,
         0x12345678,
         0x71e5b07f30f78566,
         3558},
        {{0xb80d0120, 0x00000100, 0x00000000, 0x10000000, 0xb80d0120, 0x00000200, 0x00000000,
          0x20000000, 0xbb01409c},
         17,
         0x1,
         0xef736f2701242b94,
         7484},
    };
    for (const auto& vector : vectors) {
        const auto size = static_cast<uint32_t>(vector.words.size());
        const uint64_t hash = lb_flow_hash(vector.words.data(), size, vector.protocol, vector.seed);
        CHECK(hash == vector.hash);
        CHECK(lb_flow_index(hash, 1000) == vector.index);
    }
}

TEST_CASE("the index of a flow is within its map") {
    for (const uint32_t buckets : {1U, 2U, 3U, 1000U, 0x10000U, 0x1fffffffU}) {
        for (const uint64_t hash : {uint64_t{0}, ~uint64_t{0}, uint64_t{0xffffffff00000000},
                                    uint64_t{0x00000000ffffffff}, uint64_t{0x8000000000000007}}) {
            CHECK(lb_flow_index(hash, buckets) / LB_WAYS < buckets);
            CHECK(lb_flow_index(hash, buckets) % LB_WAYS == (hash & 7));
        }
    }
}

TEST_CASE("tags of flows are never 0, and alike otherwise") {
    std::array<uint32_t, 256> count{};
    for (uint32_t i = 0; i < flows; ++i) {
        ++count.at(lb_flow_tag(lb_flow_hash(sequential4(i).data(), 3, tcp, 1)));
    }
    CHECK(count[0] == 0);
    CHECK(count[1] < 2 * flows / 256 + 200);
    for (size_t tag = 2; tag < count.size(); ++tag) {
        CHECK(std::abs(count.at(tag) - flows / 256.0) < 5 * std::sqrt(flows / 256.0));
    }
}

TEST_CASE("flows fill buckets as chance would") {
    std::mt19937 random(20240607);
    std::vector<Words6> any(flows);
    for (auto& words : any) {
        std::ranges::generate(words, std::ref(random));
    }
    check_distribution([&](uint32_t i, uint32_t buckets) {
        return bucket_of(Words4{any[i][0], any[i][1], any[i][2]}, tcp, buckets);
    });
    check_distribution(
        [&](uint32_t i, uint32_t buckets) { return bucket_of(any[i], udp, buckets); });
    check_distribution(
        [](uint32_t i, uint32_t buckets) { return bucket_of(sequential4(i), tcp, buckets); });
    check_distribution(
        [](uint32_t i, uint32_t buckets) { return bucket_of(sequential6(i), tcp, buckets); });
}

TEST_CASE("the first places of flows are spread over their buckets") {
    std::array<uint32_t, LB_WAYS> count{};
    for (uint32_t i = 0; i < flows; ++i) {
        const auto words = sequential4(i);
        ++count.at(lb_flow_index(lb_flow_hash(words.data(), 3, udp, 7), 1000) % LB_WAYS);
    }
    for (const uint32_t places : count) {
        CHECK(std::abs(places - flows / 8.0) < 5 * std::sqrt(flows / 8.0));
    }
}

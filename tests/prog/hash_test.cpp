// SPDX-License-Identifier: GPL-2.0-or-later
// Golden vectors: the loaded program, the C++ side and lookup3.c agree on buckets and turns.
#include <bit>
#include <cstring>

#include <bpf/bpf.h>
#include <netinet/in.h>

#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "linkbal/hash.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

static_assert(std::endian::native == std::endian::little, "the vectors are for this byte order");

// Computed by another implementation of hashword() (lookup3.c), for TestInstance::seed.
struct Vector {
    std::string_view client;
    std::string_view server;
    uint32_t source; // buckets
    uint32_t destination;
    uint32_t pair;
    uint32_t tcp_turn; // indexes of turn counters
    uint32_t udp_turn;
};

constexpr Vector vectors[] = {
    {"192.0.2.10", "203.0.113.20", 32434, 19396, 57179, 30588, 44783},
    {"192.0.2.11", "203.0.113.20", 491, 19396, 61306, 1491, 20644},
    {"198.51.100.7", "203.0.113.255", 53459, 39196, 56216, 11494, 32590},
    {"198.51.100.200", "203.0.113.1", 59586, 41406, 64112, 5856, 554},
    {"2001:db8:1::10", "2001:db8:2::20", 38302, 46815, 8417, 64242, 61371},
    {"2001:db8:1::11", "2001:db8:2::20", 18340, 46815, 15074, 49788, 10449},
    {"2001:db8:ffff:1:2:3:4:5", "2001:db8::1", 18375, 7164, 63537, 26663, 31737},
    {"fd00::1", "2001:db8:3::ffff:1", 38563, 13093, 64459, 48005, 44016},
};

lb_address words_of(const IpAddress& address) {
    lb_address words{};
    std::memcpy(words.word, address.bytes().data(), address.bytes().size());
    return words;
}

Bytes packet(const Vector& vector, uint8_t protocol) {
    const Bytes payload = protocol == IPPROTO_TCP ? bytes_of(Tcp{}) : bytes_of(Udp{});
    if (IpAddress::parse(vector.client)->family() == Family::ipv4) {
        return frame(
            Ipv4{.source = vector.client, .destination = vector.server, .protocol = protocol},
            payload);
    }
    return frame(Ipv6{.source = vector.client, .destination = vector.server, .next = protocol},
                 payload);
}

// Uplink ids that tell seven bits of the bucket.
BucketAssignment telling(unsigned shift) {
    BucketAssignment assignment(LB_BUCKETS);
    for (uint32_t bucket = 0; bucket < LB_BUCKETS; ++bucket) {
        assignment[bucket] = static_cast<uint16_t>(1 + (bucket >> shift & 0x7f));
    }
    return assignment;
}

// The bucket that the loaded program takes for a packet; only in modes that take no turn.
uint32_t bucket_of(TestInstance& instance, const Bytes& bytes) {
    uint32_t bucket = 0;
    for (const unsigned shift : {0U, 7U, 14U}) {
        instance.assign(telling(shift));
        bucket |= (instance.uplink_of(instance.classified_mark(bytes)) - 1) << shift;
    }
    return bucket;
}

uint32_t turns_taken(uint32_t index) {
    const auto turns = need(open_pin("/sys/fs/bpf/linkbal-test/turns"));
    return need(map_lookup<uint32_t>(turns, index)).value();
}

} // namespace

TEST_CASE("C++ computes the golden vectors") {
    for (const auto& vector : vectors) {
        const auto client = IpAddress::parse(vector.client).value();
        const auto family = static_cast<uint32_t>(client.family());
        const auto c = words_of(client);
        const auto s = words_of(IpAddress::parse(vector.server).value());
        const auto bucket = [&](lb_hash_mode mode) {
            return lb_hash_connection(mode, family, &c, &s, TestInstance::seed) & (LB_BUCKETS - 1);
        };
        CHECK(bucket(LB_HASH_SOURCE) == vector.source);
        CHECK(bucket(LB_HASH_DESTINATION) == vector.destination);
        CHECK(bucket(LB_HASH_SOURCE_DESTINATION) == vector.pair);
        CHECK(bucket(LB_HASH_CONNECTION) == vector.pair);
        CHECK(lb_turn_index(family, &c, &s, IPPROTO_TCP, TestInstance::seed) == vector.tcp_turn);
        CHECK(lb_turn_index(family, &c, &s, IPPROTO_UDP, TestInstance::seed) == vector.udp_turn);
    }
}

TEST_CASE("the loaded program computes the golden buckets") {
    LINKBAL_NEED_NAMESPACES();
    const std::pair<HashMode, uint32_t Vector::*> modes[] = {
        {HashMode::source, &Vector::source},
        {HashMode::destination, &Vector::destination},
        {HashMode::source_destination, &Vector::pair}};
    for (const auto& [mode, expected] : modes) {
        TestInstance instance({.hash = mode});
        for (const auto& vector : vectors) {
            INFO(vector.client << " to " << vector.server);
            CHECK(bucket_of(instance, packet(vector, IPPROTO_TCP)) == vector.*expected);
            CHECK(bucket_of(instance, packet(vector, IPPROTO_UDP)) == vector.*expected);
        }
    }
}

TEST_CASE("a connection takes the bucket at its hash plus its turn in the order") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance({.uplinks = {{1, 5}, {2, 3}, {3, 2}}});
    const auto order = interleave(instance.assignment());
    for (const auto& vector : vectors) {
        for (uint32_t turn = 0; turn < 20; ++turn) {
            const uint32_t bucket = order[(vector.pair + turn) & (LB_BUCKETS - 1)];
            const auto mark = instance.classified_mark(packet(vector, IPPROTO_TCP));
            CHECK(instance.uplink_of(mark) == instance.assignment()[bucket]);
        }
        CHECK(turns_taken(vector.tcp_turn) == 20);
        CHECK(turns_taken(vector.udp_turn) == 0);
    }
}

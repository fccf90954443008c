// SPDX-License-Identifier: GPL-2.0-or-later
// What the fast path leaves to the kernel: each for its reason, and untouched.
#include <netinet/in.h>

#include "fast_world.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr size_t ip_place = 14;

// A frame of the flow after `damage` is left to the kernel; one without is not, before and after.
template <typename Damage>
void check_damaged(FastWorld& world, const Flow& flow, lb_fast reason, Damage damage) {
    for (const Way way : ways) {
        world.put(flow);
        check_good(world, way, flow);
        Bytes frame = frame_of(flow.in);
        damage(frame);
        check_left(world, way, flow.from, frame, reason);
        check_good(world, way, flow);
    }
}

// The same for all flows for which `damage` returns true.
template <typename Damage>
void check_all_damaged(FastWorld& world, lb_fast reason, Damage damage) {
    for (const auto& flow : all_flows()) {
        Bytes frame = frame_of(flow.in);
        if (damage(frame, flow)) {
            check_damaged(world, flow, reason, [&](Bytes& bytes) { damage(bytes, flow); });
        }
    }
}

void put16(Bytes& frame, size_t place, size_t value) {
    frame.at(place) = static_cast<uint8_t>(value >> 8);
    frame.at(place + 1) = static_cast<uint8_t>(value);
}

// Writes the IPv4 total length or the IPv6 payload length that says `size` bytes of IP packet.
void set_length(Bytes& frame, const Flow& flow, size_t size) {
    if (is_ipv4(flow)) {
        put16(frame, ip_place + 2, size);
        fix_ipv4_checksum(frame);
    } else {
        put16(frame, ip_place + 4, size - 40);
    }
}

void insert(Bytes& frame, size_t place, const Bytes& bytes) {
    frame.insert(frame.begin() + static_cast<ptrdiff_t>(place), bytes.begin(), bytes.end());
}

void set_ipv4(Bytes& frame, size_t place, uint8_t value) {
    frame.at(ip_place + place) = value;
    fix_ipv4_checksum(frame);
}

} // namespace

TEST_CASE("segments that begin or end a connection, or have no ACK, are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (int flags = 0; is_tcp(flow) && flags < 0x100; ++flags) {
            const bool ordinary = (flags & (tcp_ack | tcp_syn | tcp_fin | tcp_rst)) == tcp_ack;
            for (const Way way : ways) {
                const Place place = world.put(flow);
                Bytes frame = frame_of(flow.in);
                frame.at(transport_place(flow.in.family) + 13) = static_cast<uint8_t>(flags);
                INFO("flags " << flags);
                if (ordinary) {
                    CHECK(world.run(way, flow.from, frame).reason == LB_FAST_FORWARDED);
                    continue;
                }
                check_left(world, way, flow.from, frame, LB_FAST_TCP_FLAGS);
                CHECK(world.flow_at(place).lease.end == 0);
                check_left(world, way, flow.from, frame_of(flow.in), LB_FAST_EXPIRED);
            }
        }
    }
}

TEST_CASE("fragments are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    // Flags and offset: MF, MF with an offset, an offset alone, the largest.
    for (const uint16_t fragment : std::vector<uint16_t>{0x2000, 0x2001, 0x0001, 0x00b9, 0x1fff}) {
        check_all_damaged(world, LB_FAST_FRAGMENT, [&](Bytes& frame, const Flow& flow) {
            if (is_ipv4(flow)) {
                put16(frame, ip_place + 6, fragment);
                fix_ipv4_checksum(frame);
                return true;
            }
            insert(frame, ip_place + 40, ipv6_fragment(flow.in.protocol, fragment));
            frame.at(ip_place + 6) = IPPROTO_FRAGMENT;
            put16(frame, ip_place + 4, frame.size() - 54);
            return true;
        });
    }
}

TEST_CASE("IP options and IPv6 extension headers are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const size_t words : std::vector<size_t>{1, 10}) {
        check_all_damaged(world, LB_FAST_OPTIONS, [&](Bytes& frame, const Flow& flow) {
            if (is_ipv4(flow)) {
                insert(frame, ip_place + 20, Bytes(words * 4, 1));
                frame.at(ip_place) = static_cast<uint8_t>(0x45 + words);
                set_length(frame, flow, frame.size() - ip_place);
            }
            return is_ipv4(flow);
        });
    }
    for (const uint8_t header :
         Bytes{IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_AH}) {
        check_all_damaged(world, LB_FAST_PROTOCOL, [&](Bytes& frame, const Flow& flow) {
            if (!is_ipv4(flow)) {
                insert(frame, ip_place + 40, extension(flow.in.protocol));
                frame.at(ip_place + 6) = header;
                set_length(frame, flow, frame.size() - ip_place);
            }
            return !is_ipv4(flow);
        });
    }
}

TEST_CASE("what is to die here is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const uint8_t ttl : Bytes{0, 1}) {
        check_all_damaged(world, LB_FAST_TTL, [&](Bytes& frame, const Flow& flow) {
            if (is_ipv4(flow)) {
                set_ipv4(frame, 8, ttl);
            } else {
                frame.at(ip_place + 7) = ttl;
            }
            return true;
        });
    }
}

TEST_CASE("protocols other than TCP and UDP are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const uint8_t protocol : Bytes{0, 1, 2, 4, 33, 41, 47, 50, 58, 59, 132, 136, 255}) {
        check_all_damaged(world, LB_FAST_PROTOCOL, [&](Bytes& frame, const Flow& flow) {
            if (is_ipv4(flow)) {
                set_ipv4(frame, 9, protocol);
            } else {
                frame.at(ip_place + 6) = protocol;
            }
            return true;
        });
    }
}

TEST_CASE("TTL and DSCP that differ from the flow's are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            for (const uint8_t ttl : Bytes{2, 63, 65, 255}) {
                Segment other = flow.in;
                other.ttl = ttl;
                check_left(world, way, flow.from, frame_of(other), LB_FAST_HEADER);
            }
            for (const uint8_t tos : Bytes{0x04, 0x80, 0xfc, 0xb8, 0x07}) {
                Segment other = flow.in;
                other.tos = tos;
                check_left(world, way, flow.from, frame_of(other), LB_FAST_HEADER);
            }
            check_good(world, way, flow);
        }
    }
}

TEST_CASE("what is larger than the egress MTU is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            for (const size_t more : std::vector<size_t>{1, 2, 100}) {
                Segment large = flow.in;
                large.payload.clear();
                const size_t headers = frame_of(large).size() - ip_place;
                large.payload = Bytes(FastWorld::mtu - headers + more, 0x77);
                check_left(world, way, flow.from, frame_of(large), LB_FAST_TOO_BIG);
            }
            check_good(world, way, flow);
        }
    }
}

TEST_CASE("each family has its MTU, and it is that of the egress device") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        const uint32_t out = flow.from == From::lan ? FastWorld::wan_slot : FastWorld::lan_slot;
        const uint32_t in = flow.from == From::lan ? FastWorld::lan_slot : FastWorld::wan_slot;
        const size_t size = frame_of(flow.in).size() - ip_place;
        const size_t family = is_ipv4(flow) ? 0 : 1;
        const auto before = world.interface_at(out);
        const auto before_in = world.interface_at(in);
        auto narrow = before;
        auto narrow_in = before_in;
        narrow.mtu[family] = static_cast<__u16>(size - 1);
        narrow_in.mtu[family] = 1;
        auto other = before;
        other.mtu[1 - family] = 1;
        for (const Way way : ways) {
            world.put(flow);
            world.set_interface(out, narrow);
            check_left(world, way, flow.from, frame_of(flow.in), LB_FAST_TOO_BIG);
            world.set_interface(out, other);
            world.set_interface(in, narrow_in);
            check_good(world, way, flow);
            world.set_interface(out, before);
            world.set_interface(in, before_in);
        }
    }
}

TEST_CASE("frames with a tag, PPPoE and what is not IP are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            // tc sees tags beside the packet, where BPF_PROG_TEST_RUN does not put them.
            const lb_fast tagged = way == Way::xdp ? LB_FAST_TAGGED : LB_FAST_NOT_IP;
            for (const Bytes& tag : {Bytes{0x81, 0, 0, 100}, Bytes{0x88, 0xa8, 0, 100}}) {
                Bytes frame = frame_of(flow.in);
                insert(frame, 12, tag);
                check_left(world, way, flow.from, frame, tagged);
            }
            Bytes pppoe = frame_of(flow.in);
            insert(pppoe, 12, {0x88, 0x64, 0x11, 0, 0, 1, 0, 42});
            check_left(world, way, flow.from, pppoe, LB_FAST_NOT_IP);
            Bytes arp = frame_of(flow.in);
            put16(arp, 12, 0x0806);
            check_left(world, way, flow.from, arp, LB_FAST_NOT_IP);
        }
    }
}

TEST_CASE("frames to another MAC address are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (size_t byte = 0; byte < 6; ++byte) {
        check_all_damaged(world, LB_FAST_NOT_FOR_US, [&](Bytes& frame, const Flow&) {
            frame.at(byte) ^= static_cast<uint8_t>(byte == 0 ? 4 : 1);
            return true;
        });
    }
    check_all_damaged(world, LB_FAST_NOT_FOR_US, [&](Bytes& frame, const Flow&) {
        std::fill_n(frame.begin(), 6, 0xff);
        return true;
    });
}

TEST_CASE("packets that come by another device than the flow's are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            const bool from_lan = flow.from == From::lan;
            Segment stray = flow.in;
            stray.to = from_lan ? FastWorld::wan_mac : FastWorld::lan_mac;
            check_left(world, way, from_lan ? From::uplink : From::lan, frame_of(stray),
                       LB_FAST_NOT_FOR_US);
            check_good(world, way, flow);
        }
    }
}

TEST_CASE("a wrong IPv4 header checksum is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const uint8_t bit : Bytes{0x01, 0x80}) {
        for (size_t byte = 0; byte < 20; ++byte) {
            const bool other_reason = byte == 0; // version and header length come first
            check_all_damaged(world, LB_FAST_MALFORMED, [&](Bytes& frame, const Flow& flow) {
                frame.at(ip_place + byte) ^= bit;
                return is_ipv4(flow) && !other_reason;
            });
        }
    }
}

TEST_CASE("another IP version than the frame's is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const uint8_t version : Bytes{0x00, 0x50, 0xf0}) {
        check_all_damaged(world, LB_FAST_MALFORMED, [&](Bytes& frame, const Flow& flow) {
            const uint8_t rest = frame.at(ip_place) & 0x0f;
            set_ipv4(frame, 0, version | rest);
            return is_ipv4(flow);
        });
        check_all_damaged(world, LB_FAST_MALFORMED, [&](Bytes& frame, const Flow& flow) {
            frame.at(ip_place) = version;
            return !is_ipv4(flow);
        });
    }
    for (const uint8_t words : Bytes{0, 4}) {
        check_all_damaged(world, LB_FAST_MALFORMED, [&](Bytes& frame, const Flow& flow) {
            frame.at(ip_place) = 0x40 | words;
            return is_ipv4(flow);
        });
    }
}

// BPF_PROG_TEST_RUN takes no frame for tc that ends within the IP header, and lets XDP have any.
TEST_CASE("a frame that ends anywhere too early is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        const Bytes whole = frame_of(flow.in);
        for (const Way way : ways) {
            world.put(flow);
            const size_t first = way == Way::xdp ? 14 : transport_place(flow.in.family);
            for (size_t size = first; size < whole.size(); ++size) {
                const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
                check_left(world, way, flow.from, cut, LB_FAST_MALFORMED);
            }
            check_good(world, way, flow);
        }
    }
}

TEST_CASE("lengths that lie are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        const size_t size = frame_of(flow.in).size() - ip_place;
        const size_t header = transport_place(flow.in.family) - ip_place;
        const size_t transport = is_tcp(flow) ? 20 : 8;
        for (const size_t said : {size + 1, size + 100, size_t{65535}}) {
            check_damaged(world, flow, LB_FAST_MALFORMED,
                          [&](Bytes& frame) { set_length(frame, flow, said); });
        }
        for (size_t said = header; said < header + transport; ++said) {
            check_damaged(world, flow, LB_FAST_MALFORMED,
                          [&](Bytes& frame) { set_length(frame, flow, said); });
        }
    }
}

TEST_CASE("a transport header that contradicts the packet is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const uint8_t words : Bytes{0, 1, 4, 14, 15}) { // the packet has room for 13
        check_all_damaged(world, LB_FAST_MALFORMED, [&](Bytes& frame, const Flow& flow) {
            if (is_tcp(flow)) {
                frame.at(transport_place(flow.in.family) + 12) = static_cast<uint8_t>(words << 4);
            }
            return is_tcp(flow);
        });
    }
    for (const uint16_t length :
         std::vector<uint16_t>{0, 1, 7, 41, 100, 65535}) { // the packet has 40
        check_all_damaged(world, LB_FAST_MALFORMED, [&](Bytes& frame, const Flow& flow) {
            if (!is_tcp(flow)) {
                put16(frame, transport_place(flow.in.family) + 4, length);
            }
            return !is_tcp(flow);
        });
    }
}

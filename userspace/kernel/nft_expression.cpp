// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_expression.h"

#include <array>
#include <span>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include "kernel/nft_expression_writer.h"

namespace linkbal {

namespace {

void compare(nlmsghdr* message, nft_cmp_ops operation, std::span<const uint8_t> value) {
    Expression e(message, "cmp");
    e.set(NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_CMP_OP, operation);
    e.set(NFTNL_EXPR_CMP_DATA, value.data(), static_cast<uint32_t>(value.size()));
}

void match_meta(nlmsghdr* message, uint32_t key, uint8_t value) {
    load_meta(message, key);
    match_bytes(message, std::span(&value, 1));
}

std::span<const uint8_t> bytes_of(const uint32_t& value) {
    return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

void bitwise(nlmsghdr* message, const void* mask, const void* exclusive, uint32_t size) {
    Expression e(message, "bitwise");
    e.set(NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    e.set(NFTNL_EXPR_BITWISE_LEN, size);
    e.set(NFTNL_EXPR_BITWISE_MASK, mask, size);
    e.set(NFTNL_EXPR_BITWISE_XOR, exclusive, size);
}

// The kernel says the flags back whether they were said or not.
void set_lookup(Expression& e, const std::string& set, uint32_t set_id) {
    e.set(NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_LOOKUP_SET, set);
    e.set(NFTNL_EXPR_LOOKUP_SET_ID, set_id);
}

void load_payload(nlmsghdr* message, nft_payload_bases base, size_t offset, uint32_t size,
                  uint32_t target = NFT_REG_1) {
    Expression e(message, "payload");
    e.set(NFTNL_EXPR_PAYLOAD_DREG, target);
    e.set(NFTNL_EXPR_PAYLOAD_BASE, base);
    e.set(NFTNL_EXPR_PAYLOAD_OFFSET, static_cast<uint32_t>(offset));
    e.set(NFTNL_EXPR_PAYLOAD_LEN, size);
}

uint32_t address_size(Family family) { return family == Family::ipv4 ? 4 : 16; }

size_t address_offset(Family family, AddressField field) {
    const size_t source =
        family == Family::ipv4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src);
    return field == AddressField::source ? source : source + address_size(family);
}

uint8_t number_of(Transport transport) {
    return transport == Transport::tcp ? uint8_t{IPPROTO_TCP} : uint8_t{IPPROTO_UDP};
}

std::array<uint8_t, 16> netmask(unsigned length) {
    std::array<uint8_t, 16> mask{};
    for (unsigned bit = 0; bit < length; ++bit) {
        mask[bit / 8] = static_cast<uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
    }
    return mask;
}

std::array<uint8_t, 2> wire(uint16_t value) {
    return {static_cast<uint8_t>(value >> 8U), static_cast<uint8_t>(value)};
}

} // namespace

void load_meta(nlmsghdr* message, uint32_t key) {
    Expression e(message, "meta");
    e.set(NFTNL_EXPR_META_KEY, key);
    e.set(NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void store_meta_mark(nlmsghdr* message) {
    Expression e(message, "meta");
    e.set(NFTNL_EXPR_META_KEY, NFT_META_MARK);
    e.set(NFTNL_EXPR_META_SREG, NFT_REG_1);
}

void load_ct(nlmsghdr* message, uint32_t key) {
    Expression e(message, "ct");
    e.set(NFTNL_EXPR_CT_KEY, key);
    e.set(NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void load_address(nlmsghdr* message, Family family, AddressField field) {
    match_family(message, family);
    load_payload(message, NFT_PAYLOAD_NETWORK_HEADER, address_offset(family, field),
                 address_size(family));
}

void load_destination_port(nlmsghdr* message, Transport transport) {
    match_protocol(message, number_of(transport));
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(tcphdr, th_dport), 2); // as in UDP
}

void load_icmp_type(nlmsghdr* message, Family family) {
    match_protocol(message,
                   family == Family::ipv4 ? uint8_t{IPPROTO_ICMP} : uint8_t{IPPROTO_ICMPV6});
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
}

void load_limited_source(nlmsghdr* message, Family family) {
    load_address(message, family, AddressField::source);
    if (family == Family::ipv6) {
        const std::array<uint8_t, 16> nothing{};
        bitwise(message, netmask(64).data(), nothing.data(), 16);
    }
}

void store_ct_mark(nlmsghdr* message) {
    Expression e(message, "ct");
    e.set(NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    e.set(NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

void and_xor(nlmsghdr* message, uint32_t mask, uint32_t exclusive) {
    bitwise(message, &mask, &exclusive, sizeof mask);
}

void look_up(nlmsghdr* message, const std::string& set, uint32_t set_id, bool inverted) {
    Expression e(message, "lookup");
    set_lookup(e, set, set_id);
    e.set(NFTNL_EXPR_LOOKUP_FLAGS, inverted ? NFT_LOOKUP_F_INV : 0);
}

void look_up_verdict(nlmsghdr* message, const std::string& map, uint32_t set_id) {
    Expression e(message, "lookup");
    set_lookup(e, map, set_id);
    e.set(NFTNL_EXPR_LOOKUP_FLAGS, 0);
    e.set(NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void match_bytes(nlmsghdr* message, std::span<const uint8_t> value) {
    compare(message, NFT_CMP_EQ, value);
}

void match_16_bits(nlmsghdr* message, uint16_t first, uint16_t last) {
    if (first == last) {
        match_bytes(message, wire(first));
        return;
    }
    compare(message, NFT_CMP_GTE, wire(first));
    compare(message, NFT_CMP_LTE, wire(last));
}

// In the inet family a look into the header is meaningful only once the family is known.
void match_family(nlmsghdr* message, Family family) {
    match_meta(message, NFT_META_NFPROTO, family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

void match_protocol(nlmsghdr* message, uint8_t number) {
    match_meta(message, NFT_META_L4PROTO, number);
}

// Both at once, as nft does it: they are neighbours.
void match_ports(nlmsghdr* message, Transport transport, uint16_t source, uint16_t destination) {
    const auto from = wire(source);
    const auto to = wire(destination);
    match_protocol(message, number_of(transport));
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(tcphdr, th_sport), 4); // as in UDP
    match_bytes(message, std::array{from[0], from[1], to[0], to[1]});
}

void match_ct_bits(nlmsghdr* message, uint32_t key, uint32_t bits) {
    load_ct(message, key);
    and_xor(message, bits, 0);
    compare(message, NFT_CMP_NEQ, bytes_of(0));
}

void match_mark(nlmsghdr* message, uint32_t mask, uint32_t mark) {
    load_meta(message, NFT_META_MARK);
    and_xor(message, mask, 0);
    match_bytes(message, bytes_of(mark));
}

void match_tcp_flags(nlmsghdr* message, uint8_t mask, uint8_t value) {
    constexpr uint8_t nothing = 0;
    match_protocol(message, IPPROTO_TCP);
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(tcphdr, th_flags), sizeof mask);
    bitwise(message, &mask, &nothing, sizeof mask);
    match_bytes(message, std::span(&value, 1));
}

// In front of defragmentation. IPv4: more fragments follow, or this is not the first.
void match_fragment(nlmsghdr* message, Family family) {
    match_family(message, family);
    if (family == Family::ipv4) {
        constexpr std::array<uint8_t, 2> mask{0x3f, 0xff};
        constexpr std::array<uint8_t, 2> nothing{};
        load_payload(message, NFT_PAYLOAD_NETWORK_HEADER, offsetof(iphdr, frag_off), mask.size());
        bitwise(message, mask.data(), nothing.data(), mask.size());
        compare(message, NFT_CMP_NEQ, nothing);
        return;
    }
    constexpr uint8_t present = 1;
    {
        Expression e(message, "exthdr");
        e.set(NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
        e.set8(NFTNL_EXPR_EXTHDR_TYPE, IPPROTO_FRAGMENT);
        e.set(NFTNL_EXPR_EXTHDR_OFFSET, 0);
        e.set(NFTNL_EXPR_EXTHDR_LEN, 1);
        e.set(NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
        e.set(NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
    }
    match_bytes(message, std::span(&present, 1));
}

void match_local(nlmsghdr* message, AddressField field) {
    constexpr uint32_t local = RTN_LOCAL;
    {
        Expression e(message, "fib");
        e.set(NFTNL_EXPR_FIB_DREG, NFT_REG_1);
        e.set(NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        e.set(NFTNL_EXPR_FIB_FLAGS, field == AddressField::source ? uint32_t{NFTA_FIB_F_SADDR}
                                                                  : uint32_t{NFTA_FIB_F_DADDR});
    }
    match_bytes(message, bytes_of(local));
}

// A key's parts fill registers of 4 bytes; the kernel tells those that begin one of 16 bytes by the
// latter's name, and messages are compared with what it tells.
void load_tcp_tuple(nlmsghdr* message, Family family) {
    const bool ipv4 = family == Family::ipv4;
    const uint32_t size = ipv4 ? 4 : 16;
    const size_t source = ipv4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src);
    const uint32_t destination = ipv4 ? NFT_REG32_01 : NFT_REG_2;
    const uint32_t source_port = ipv4 ? NFT_REG32_02 : NFT_REG_3;
    const uint32_t destination_port = ipv4 ? NFT_REG32_03 : NFT_REG32_09;
    match_family(message, family);
    match_meta(message, NFT_META_L4PROTO, IPPROTO_TCP);
    load_payload(message, NFT_PAYLOAD_NETWORK_HEADER, source, size);
    load_payload(message, NFT_PAYLOAD_NETWORK_HEADER, source + size, size, destination);
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(tcphdr, th_sport), 2, source_port);
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(tcphdr, th_dport), 2,
                 destination_port);
}

void match_network(nlmsghdr* message, AddressField field, const Prefix& network) {
    if (network.is_default()) {
        match_family(message, network.family());
        return;
    }
    load_address(message, network.family(), field);
    const auto address = network.address().bytes();
    if (network.length() < network.address().bits()) {
        const std::array<uint8_t, 16> nothing{};
        bitwise(message, netmask(network.length()).data(), nothing.data(),
                static_cast<uint32_t>(address.size()));
    }
    match_bytes(message, address);
}

} // namespace linkbal

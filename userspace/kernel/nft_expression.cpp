// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_expression.h"

#include <array>
#include <span>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

namespace linkbal {

namespace {

// Has a libnftnl expression written to the message when it goes out of scope.
class Expression {
  public:
    Expression(nlmsghdr* message, const char* name)
        : message_(message), expression_(nftnl_expr_alloc(name)) {}
    Expression(const Expression&) = delete;
    Expression& operator=(const Expression&) = delete;
    ~Expression() {
        nlattr* element = mnl_attr_nest_start(message_, NFTA_LIST_ELEM);
        nftnl_expr_build_payload(message_, expression_);
        mnl_attr_nest_end(message_, element);
        nftnl_expr_free(expression_);
    }
    void set(uint16_t attribute, uint32_t value) {
        nftnl_expr_set_u32(expression_, attribute, value);
    }
    void set(uint16_t attribute, const void* data, uint32_t size) {
        nftnl_expr_set(expression_, attribute, data, size);
    }
    void set(uint16_t attribute, const std::string& text) {
        nftnl_expr_set_str(expression_, attribute, text.c_str());
    }

  private:
    nlmsghdr* message_;
    nftnl_expr* expression_;
};

// An expression without libnftnl: `fill` puts the attributes.
template <typename Fill>
void put_expression(nlmsghdr* message, const char* name, Fill fill) {
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    mnl_attr_put_strz(message, NFTA_EXPR_NAME, name);
    nlattr* data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
    fill();
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, element);
}

void compare(nlmsghdr* message, nft_cmp_ops operation, std::span<const uint8_t> value) {
    Expression e(message, "cmp");
    e.set(NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_CMP_OP, operation);
    e.set(NFTNL_EXPR_CMP_DATA, value.data(), static_cast<uint32_t>(value.size()));
}

void compare_equal(nlmsghdr* message, std::span<const uint8_t> value) {
    compare(message, NFT_CMP_EQ, value);
}

void match_meta(nlmsghdr* message, uint32_t key, uint8_t value) {
    load_meta(message, key);
    compare_equal(message, std::span(&value, 1));
}

void bitwise(nlmsghdr* message, const void* mask, const void* exclusive, uint32_t size) {
    Expression e(message, "bitwise");
    e.set(NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    e.set(NFTNL_EXPR_BITWISE_LEN, size);
    e.set(NFTNL_EXPR_BITWISE_MASK, mask, size);
    e.set(NFTNL_EXPR_BITWISE_XOR, exclusive, size);
}

void set_lookup(Expression& e, const std::string& set, uint32_t set_id) {
    e.set(NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_LOOKUP_SET, set);
    e.set(NFTNL_EXPR_LOOKUP_SET_ID, set_id);
    e.set(NFTNL_EXPR_LOOKUP_FLAGS, 0); // as the kernel says it back
}

void load_payload(nlmsghdr* message, nft_payload_bases base, size_t offset, uint32_t size,
                  uint32_t target = NFT_REG_1) {
    Expression e(message, "payload");
    e.set(NFTNL_EXPR_PAYLOAD_DREG, target);
    e.set(NFTNL_EXPR_PAYLOAD_BASE, base);
    e.set(NFTNL_EXPR_PAYLOAD_OFFSET, static_cast<uint32_t>(offset));
    e.set(NFTNL_EXPR_PAYLOAD_LEN, size);
}

void load_source(nlmsghdr* message, Family family, uint32_t size) {
    load_payload(message, NFT_PAYLOAD_NETWORK_HEADER,
                 family == Family::ipv4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src),
                 size);
}

// In the inet family a look into the header is meaningful only once the family is known.
void match_family(nlmsghdr* message, Family family) {
    match_meta(message, NFT_META_NFPROTO, family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

std::array<uint8_t, 16> netmask(unsigned length) {
    std::array<uint8_t, 16> mask{};
    for (unsigned bit = 0; bit < length; ++bit) {
        mask[bit / 8] = static_cast<uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
    }
    return mask;
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

void load_ct_mark(nlmsghdr* message) {
    Expression e(message, "ct");
    e.set(NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    e.set(NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void store_ct_mark(nlmsghdr* message) {
    Expression e(message, "ct");
    e.set(NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    e.set(NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

void and_xor(nlmsghdr* message, uint32_t mask, uint32_t exclusive) {
    bitwise(message, &mask, &exclusive, sizeof mask);
}

void look_up(nlmsghdr* message, const std::string& set, uint32_t set_id) {
    Expression e(message, "lookup");
    set_lookup(e, set, set_id);
}

void look_up_verdict(nlmsghdr* message, const std::string& map, uint32_t set_id) {
    Expression e(message, "lookup");
    set_lookup(e, map, set_id);
    e.set(NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void count(nlmsghdr* message, const std::string& counter) {
    put_expression(message, "objref", [&] {
        mnl_attr_put_u32(message, NFTA_OBJREF_IMM_TYPE, htonl(NFT_OBJECT_COUNTER));
        mnl_attr_put_strz(message, NFTA_OBJREF_IMM_NAME, counter.c_str());
    });
}

void put_verdict(nlmsghdr* message, uint16_t type, int32_t code, const std::string& chain) {
    nlattr* data = mnl_attr_nest_start(message, type);
    nlattr* nest = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
    mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(static_cast<uint32_t>(code)));
    if (!chain.empty()) {
        mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, chain.c_str());
    }
    mnl_attr_nest_end(message, nest);
    mnl_attr_nest_end(message, data);
}

void verdict(nlmsghdr* message, int32_t code, const std::string& chain) {
    put_expression(message, "immediate", [&] {
        mnl_attr_put_u32(message, NFTA_IMMEDIATE_DREG, htonl(NFT_REG_VERDICT));
        put_verdict(message, NFTA_IMMEDIATE_DATA, code, chain);
    });
}

void match_mid_stream(nlmsghdr* message) {
    // NF_CT_STATE_INVALID_BIT and NF_CT_STATE_BIT(IP_CT_NEW)
    constexpr uint32_t states = 1U << 0U | 1U << 3U;
    constexpr uint8_t syn = TH_SYN;
    constexpr std::array<uint8_t, 4> none{};
    {
        Expression e(message, "ct");
        e.set(NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
        e.set(NFTNL_EXPR_CT_DREG, NFT_REG_1);
    }
    and_xor(message, states, 0);
    compare(message, NFT_CMP_NEQ, none);
    match_meta(message, NFT_META_L4PROTO, IPPROTO_TCP);
    load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(tcphdr, th_flags), sizeof syn);
    bitwise(message, &syn, none.data(), sizeof syn);
    compare_equal(message, std::span(none).first(sizeof syn));
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

void reject_with_reset(nlmsghdr* message) {
    Expression e(message, "reject");
    e.set(NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
}

void match_source(nlmsghdr* message, const Prefix& source) {
    match_family(message, source.family());
    if (source.is_default()) {
        return;
    }
    const auto address = source.address().bytes();
    const auto size = static_cast<uint32_t>(address.size());
    load_source(message, source.family(), size);
    if (source.length() < source.address().bits()) {
        const std::array<uint8_t, 16> nothing{};
        bitwise(message, netmask(source.length()).data(), nothing.data(), size);
    }
    compare_equal(message, address);
}

void masquerade(nlmsghdr* message) { const Expression e(message, "masq"); }

} // namespace linkbal

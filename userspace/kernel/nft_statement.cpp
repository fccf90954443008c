// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_statement.h"

#include <array>
#include <span>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>

#include "kernel/nft_expression_writer.h"

namespace linkbal {

namespace {

void put_limit(nlmsghdr* message, const LimitExpression& limit) {
    mnl_attr_put_u64(message, NFTA_LIMIT_RATE, htobe64(limit.rate));
    mnl_attr_put_u64(message, NFTA_LIMIT_UNIT, htobe64(limit.seconds));
    mnl_attr_put_u32(message, NFTA_LIMIT_BURST, htonl(limit.burst));
    mnl_attr_put_u32(message, NFTA_LIMIT_TYPE, htonl(NFT_LIMIT_PKTS));
    mnl_attr_put_u32(message, NFTA_LIMIT_FLAGS, 0);
}

void load_immediate(nlmsghdr* message, uint32_t target, std::span<const uint8_t> value) {
    Expression e(message, "immediate");
    e.set(NFTNL_EXPR_IMM_DREG, target);
    e.set(NFTNL_EXPR_IMM_DATA, value.data(), static_cast<uint32_t>(value.size()));
}

void load_16_bits(nlmsghdr* message, uint32_t target, uint16_t value) {
    const std::array wire{static_cast<uint8_t>(value >> 8U), static_cast<uint8_t>(value)};
    load_immediate(message, target, wire);
}

// The kernel loads it in its own byte order, and the option is written as it is.
void load_path_mss(nlmsghdr* message) {
    {
        Expression e(message, "rt");
        e.set(NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS);
        e.set(NFTNL_EXPR_RT_DREG, NFT_REG_1);
    }
    Expression e(message, "byteorder");
    e.set(NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
    e.set(NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
    e.set(NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
    e.set(NFTNL_EXPR_BYTEORDER_LEN, 2);
    e.set(NFTNL_EXPR_BYTEORDER_SIZE, 2);
}

} // namespace

void limit(nlmsghdr* message, const LimitExpression& limit) {
    put_expression(message, "limit", [&] { put_limit(message, limit); });
}

// libnftnl 1.2.4 would free an expression that two refer to.
void update_limit(nlmsghdr* message, const std::string& set, uint32_t set_id,
                  const LimitExpression& limit) {
    put_expression(message, "dynset", [&] {
        mnl_attr_put_strz(message, NFTA_DYNSET_SET_NAME, set.c_str());
        mnl_attr_put_u32(message, NFTA_DYNSET_SET_ID, htonl(set_id));
        mnl_attr_put_u32(message, NFTA_DYNSET_OP, htonl(NFT_DYNSET_OP_UPDATE));
        mnl_attr_put_u32(message, NFTA_DYNSET_SREG_KEY, htonl(NFT_REG_1));
        mnl_attr_put_u64(message, NFTA_DYNSET_TIMEOUT, 0); // the set's; said back
        nlattr* expression = mnl_attr_nest_start(message, NFTA_DYNSET_EXPR);
        mnl_attr_put_strz(message, NFTA_EXPR_NAME, "limit");
        nlattr* data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
        put_limit(message, limit);
        mnl_attr_nest_end(message, data);
        mnl_attr_nest_end(message, expression);
    });
}

void refer_to(nlmsghdr* message, uint32_t type, const std::string& object) {
    put_expression(message, "objref", [&] {
        mnl_attr_put_u32(message, NFTA_OBJREF_IMM_TYPE, htonl(type));
        mnl_attr_put_strz(message, NFTA_OBJREF_IMM_NAME, object.c_str());
    });
}

void log(nlmsghdr* message, const std::string& prefix) {
    constexpr uint32_t warning = 4; // NFT_LOGLEVEL_WARNING
    Expression e(message, "log");
    e.set(NFTNL_EXPR_LOG_PREFIX, prefix);
    e.set(NFTNL_EXPR_LOG_LEVEL, warning);
}

void clamp_mss(nlmsghdr* message, uint16_t size) {
    if (size == 0) {
        load_path_mss(message);
    } else {
        load_16_bits(message, NFT_REG_1, size);
    }
    Expression e(message, "exthdr");
    e.set(NFTNL_EXPR_EXTHDR_SREG, NFT_REG_1);
    e.set8(NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG);
    e.set(NFTNL_EXPR_EXTHDR_OFFSET, 2); // behind kind and length
    e.set(NFTNL_EXPR_EXTHDR_LEN, 2);
    e.set(NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
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

void reject(nlmsghdr* message, uint32_t type, uint8_t code) {
    Expression e(message, "reject");
    e.set(NFTNL_EXPR_REJECT_TYPE, type);
    if (type != NFT_REJECT_TCP_RST) {
        e.set8(NFTNL_EXPR_REJECT_CODE, code);
    }
}

void masquerade(nlmsghdr* message) { const Expression e(message, "masq"); }

// Register 1: the address; 2: the port.
void map_destination(nlmsghdr* message, const IpAddress& address, std::optional<uint16_t> port) {
    const bool ipv4 = address.family() == Family::ipv4;
    load_immediate(message, NFT_REG_1, address.bytes());
    if (port) {
        load_16_bits(message, NFT_REG_2, *port);
    }
    // The kernel says back a highest value that is the lowest, and flags that follow from them.
    Expression e(message, "nat");
    e.set(NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    e.set(NFTNL_EXPR_NAT_FAMILY, ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    e.set(NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
    e.set(NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1);
    e.set(NFTNL_EXPR_NAT_FLAGS,
          port ? NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED : NF_NAT_RANGE_MAP_IPS);
    if (port) {
        e.set(NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG_2);
        e.set(NFTNL_EXPR_NAT_REG_PROTO_MAX, NFT_REG_2);
    }
}

} // namespace linkbal

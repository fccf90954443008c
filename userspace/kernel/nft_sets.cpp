// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_sets.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include "kernel/dead_set.h"
#include "kernel/nft_statement.h"

namespace linkbal {

namespace {

// Numbers of nft's own types and byte orders (its include/datatype.h). The kernel only stores them;
// nft needs them to print keys as marks, names and addresses.
constexpr uint32_t nft_type_ipv4 = 7;
constexpr uint32_t nft_type_ipv6 = 8;
constexpr uint32_t nft_type_service = 13;
constexpr uint32_t nft_type_icmp = 14;
constexpr uint32_t nft_type_mark = 19;
constexpr uint32_t nft_type_icmpv6 = 29;
constexpr uint32_t nft_type_ifname = 41;
constexpr uint32_t nft_host_byte_order = 1;
constexpr uint32_t nft_network_byte_order = 2;
constexpr uint8_t nft_udata_key_byte_order = 0; // NFTNL_UDATA_SET_KEYBYTEORDER

// Elements of one message: a list is one attribute, of 64 kB at most.
constexpr size_t elements_per_message = 128;
constexpr size_t element_room = 256;

struct SetHead {
    std::string name;
    uint32_t id = 0;
    uint32_t flags = 0;
    uint32_t key_type = 0;
    uint32_t key_length = 0;
    uint32_t size = 0; // 0: not said
    uint32_t byte_order = nft_network_byte_order;
    std::chrono::milliseconds timeout{0}; // 0: none
};

void put_size(nlmsghdr* message, uint32_t size) {
    nlattr* description = mnl_attr_nest_start(message, NFTA_SET_DESC);
    mnl_attr_put_u32(message, NFTA_SET_DESC_SIZE, htonl(size));
    mnl_attr_nest_end(message, description);
}

// nft's user data: type, length, value, in host byte order.
void put_byte_order(nlmsghdr* message, uint32_t order) {
    std::vector<uint8_t> data{nft_udata_key_byte_order, sizeof order};
    data.resize(2 + sizeof order);
    std::memcpy(data.data() + 2, &order, sizeof order);
    mnl_attr_put(message, NFTA_SET_USERDATA, data.size(), data.data());
}

NftMessage set_message(const std::string& table, const SetHead& set) {
    const auto fill = [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_SET_TABLE, table.c_str());
        mnl_attr_put_strz(m, NFTA_SET_NAME, set.name.c_str());
        mnl_attr_put_u32(m, NFTA_SET_FLAGS, htonl(set.flags));
        mnl_attr_put_u32(m, NFTA_SET_KEY_TYPE, htonl(set.key_type));
        mnl_attr_put_u32(m, NFTA_SET_KEY_LEN, htonl(set.key_length));
        if ((set.flags & NFT_SET_MAP) != 0) {
            mnl_attr_put_u32(m, NFTA_SET_DATA_TYPE, htonl(NFT_DATA_VERDICT));
            mnl_attr_put_u32(m, NFTA_SET_DATA_LEN, 0);
        }
        mnl_attr_put_u32(m, NFTA_SET_ID, htonl(set.id));
        if (set.size != 0) {
            put_size(m, set.size);
        }
        if (set.timeout.count() != 0) {
            mnl_attr_put_u64(m, NFTA_SET_TIMEOUT,
                             htobe64(static_cast<uint64_t>(set.timeout.count())));
        }
        put_byte_order(m, set.byte_order);
    };
    return {make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE, fill),
            "set " + set.name};
}

// Written here because libnftnl's own writer of lists numbers the elements in a way that its reader,
// with which tables are compared, does not take.
void put_element(nlmsghdr* message, const NftElement& wanted) {
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    if (wanted.ends_range) {
        mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    }
    nlattr* value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, wanted.key.size(), wanted.key.data());
    mnl_attr_nest_end(message, value);
    if (!wanted.chain.empty()) {
        put_verdict(message, NFTA_SET_ELEM_DATA, NFT_GOTO, wanted.chain);
    }
    mnl_attr_nest_end(message, element);
}

NftMessage elements_message(const std::string& table, const SetHead& set,
                            std::span<const NftElement> elements) {
    const auto fill = [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table.c_str());
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set.name.c_str());
        mnl_attr_put_u32(m, NFTA_SET_ELEM_LIST_SET_ID, htonl(set.id));
        nlattr* nest = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (const auto& element : elements) {
            put_element(m, element);
        }
        mnl_attr_nest_end(m, nest);
    };
    return {make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSETELEM, NFPROTO_INET, NLM_F_CREATE, fill,
                         elements_per_message * element_room),
            "elements of set " + set.name};
}

void append_set(std::vector<NftMessage>& messages, const std::string& table, const SetHead& set,
                const NftElements& elements) {
    messages.push_back(set_message(table, set));
    for (size_t first = 0; first < elements.size(); first += elements_per_message) {
        const size_t size = std::min(elements_per_message, elements.size() - first);
        messages.push_back(elements_message(table, set, std::span(elements).subspan(first, size)));
    }
}

constexpr uint32_t fixed = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;

SetHead anonymous_head(AnonymousSet kind) {
    switch (kind) {
    case AnonymousSet::marks_to_chains:
        return {.name = "__map",
                .flags = fixed | NFT_SET_MAP,
                .key_type = nft_type_mark,
                .key_length = sizeof(uint32_t),
                .byte_order = nft_host_byte_order};
    case AnonymousSet::devices_to_chains:
        return {.name = "__map",
                .flags = fixed | NFT_SET_MAP,
                .key_type = nft_type_ifname,
                .key_length = IFNAMSIZ,
                .byte_order = nft_host_byte_order};
    case AnonymousSet::devices:
        return {.name = "__set",
                .flags = fixed,
                .key_type = nft_type_ifname,
                .key_length = IFNAMSIZ,
                .byte_order = nft_host_byte_order};
    case AnonymousSet::ports:
        return {.name = "__set",
                .flags = fixed | NFT_SET_INTERVAL,
                .key_type = nft_type_service,
                .key_length = sizeof(uint16_t)};
    case AnonymousSet::icmp_types:
        return {.name = "__set", .flags = fixed, .key_type = nft_type_icmp, .key_length = 1};
    case AnonymousSet::icmpv6_types:
        return {.name = "__set", .flags = fixed, .key_type = nft_type_icmpv6, .key_length = 1};
    }
    return {};
}

NftElement port_element(uint32_t port, bool ends) {
    return {{static_cast<uint8_t>(port >> 8U), static_cast<uint8_t>(port)}, {}, ends};
}

// The address after the last one of the network; none where that was the last of all.
std::vector<uint8_t> end_of(const Prefix& network) {
    const auto bytes = network.address().bytes();
    std::vector<uint8_t> end(bytes.begin(), bytes.end());
    unsigned carry = 1U << ((8 - network.length() % 8) % 8);
    for (size_t i = (network.length() + 7) / 8; i-- > 0 && carry != 0;) {
        carry += end[i];
        end[i] = static_cast<uint8_t>(carry);
        carry >>= 8U;
    }
    return carry != 0 ? std::vector<uint8_t>() : end;
}

NftElements network_elements(std::span<const Prefix> networks) {
    NftElements elements;
    for (const auto& network : networks) {
        const auto begin = network.address().bytes();
        elements.push_back({{begin.begin(), begin.end()}, {}, false});
        if (auto end = end_of(network); !end.empty()) {
            elements.push_back({std::move(end), {}, true});
        }
    }
    return elements;
}

uint32_t address_type(Family family) {
    return family == Family::ipv4 ? nft_type_ipv4 : nft_type_ipv6;
}
uint32_t address_length(Family family) { return family == Family::ipv4 ? 4 : 16; }

} // namespace

NftElement mark_element(uint32_t mark, std::string chain) {
    std::vector<uint8_t> key(sizeof mark);
    std::memcpy(key.data(), &mark, sizeof mark);
    return {std::move(key), std::move(chain)};
}

NftElement device_element(const std::string& device, std::string chain) {
    std::vector<uint8_t> key(IFNAMSIZ);
    std::memcpy(key.data(), device.data(), std::min(device.size(), key.size() - 1));
    return {std::move(key), std::move(chain)};
}

NftElement byte_element(uint8_t value) { return {{value}}; }

NftElements port_elements(std::span<const PortRange> ports) {
    NftElements elements;
    for (const auto& range : ports) {
        elements.push_back(port_element(range.first, false));
        if (range.last != std::numeric_limits<uint16_t>::max()) {
            elements.push_back(port_element(range.last + 1U, true));
        }
    }
    return elements;
}

// A set of known size is the kernel's fastest hash. nft leaves the number in "__map%d" to the kernel;
// a number of our own is as good in a fresh table, and lets the tables be compared word by word.
std::string append_anonymous_set(std::vector<NftMessage>& messages, const std::string& table,
                                 AnonymousSet kind, uint32_t number, const NftElements& elements) {
    SetHead head = anonymous_head(kind);
    head.name += fmt::format("{}", number);
    head.id = number + 1;
    head.size = static_cast<uint32_t>(elements.size());
    append_set(messages, table, head, elements);
    return head.name;
}

void append_named_set(std::vector<NftMessage>& messages, const std::string& table,
                      const NftSet& set, uint32_t id) {
    struct Append {
        std::vector<NftMessage>& messages;
        const std::string& table;
        uint32_t id;
        void operator()(const DeadSet& dead) const {
            messages.push_back({dead_set_message(table, dead.family),
                                fmt::format("set {}", dead_set_name(dead.family))});
        }
        void operator()(const PrefixSet& prefixes) const {
            const SetHead head{.name = prefixes.name,
                               .id = id,
                               .flags = NFT_SET_INTERVAL,
                               .key_type = address_type(prefixes.family),
                               .key_length = address_length(prefixes.family)};
            append_set(messages, table, head, network_elements(prefixes.networks));
        }
        void operator()(const SourceSet& sources) const {
            const SetHead head{.name = sources.name,
                               .id = id,
                               .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT,
                               .key_type = address_type(sources.family),
                               .key_length = address_length(sources.family),
                               .size = source_set_size,
                               .timeout = sources.timeout};
            append_set(messages, table, head, {});
        }
    };
    std::visit(Append{messages, table, id}, set);
}

} // namespace linkbal

// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/dead_set.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nft_describe.h"
#include "kernel/nft_dump.h"

namespace linkbal {

namespace {

// Numbers of nft's own types (its include/datatype.h), which the kernel only stores: a concatenation
// is the types of its parts, 6 bits each.
constexpr uint32_t nft_type_ipv4 = 7;
constexpr uint32_t nft_type_ipv6 = 8;
constexpr uint32_t nft_type_service = 13;

// A list of elements is one attribute, of 64 kB at most; one of IPv6 takes 52 bytes.
constexpr size_t elements_per_message = 1024;
constexpr size_t element_room = 64;

constexpr uint32_t concatenation(uint32_t address) {
    return ((address << 6U | address) << 6U | nft_type_service) << 6U | nft_type_service;
}

// Every part is padded to 4 bytes.
constexpr uint32_t key_length(Family family) { return family == Family::ipv4 ? 16 : 40; }

using Key = std::array<uint8_t, 40>;

Key key_of(const TcpConnection& connection) {
    Key key{};
    uint8_t* end = key.data();
    for (const IpAddress* address : {&connection.client, &connection.server}) {
        const auto bytes = address->bytes();
        std::memcpy(end, bytes.data(), bytes.size());
        end += bytes.size();
    }
    for (const uint16_t port : {connection.client_port, connection.server_port}) {
        const uint16_t wire = htons(port);
        std::memcpy(end, &wire, sizeof wire);
        end += 4;
    }
    return key;
}

void put_element(nlmsghdr* message, const TcpConnection& connection) {
    const Key key = key_of(connection);
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    nlattr* value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, key_length(connection.client.family()), key.data());
    mnl_attr_nest_end(message, value);
    mnl_attr_nest_end(message, element);
}

void put_set(nlmsghdr* message, const std::string& table, Family family) {
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table.c_str());
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, std::string(dead_set_name(family)).c_str());
}

NftMessage elements_message(const std::string& table, Family family,
                            std::span<const TcpConnection> connections) {
    const auto fill = [&](nlmsghdr* m) {
        put_set(m, table, family);
        nlattr* list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (const auto& connection : connections) {
            put_element(m, connection);
        }
        mnl_attr_nest_end(m, list);
    };
    return {make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSETELEM, NFPROTO_INET, NLM_F_CREATE, fill,
                         1024 + (connections.size() * element_room)),
            fmt::format("elements of set {}", dead_set_name(family))};
}

bool is_of_set(const NfnetlinkMessage& message, uint16_t attribute, std::string_view name) {
    const nlattr* set = find_attribute(*header(message), attribute);
    return set != nullptr && name == mnl_attr_get_str(set);
}

bool is_as_made(const NfnetlinkMessage& set, Family family) {
    return nft_describe({set}) == nft_describe({dead_set_message("", family)});
}

} // namespace

uint32_t dead_set_id(Family family) { return 0x10000U + static_cast<uint32_t>(family); }

// The kernel takes a hash that grows, since the elements have timeouts.
NfnetlinkMessage dead_set_message(const std::string& table, Family family) {
    const uint32_t address = family == Family::ipv4 ? nft_type_ipv4 : nft_type_ipv6;
    const std::chrono::milliseconds milliseconds(dead_set_timeout);
    const auto fill = [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_SET_TABLE, table.c_str());
        mnl_attr_put_strz(m, NFTA_SET_NAME, std::string(dead_set_name(family)).c_str());
        mnl_attr_put_u32(m, NFTA_SET_FLAGS, htonl(NFT_SET_TIMEOUT));
        mnl_attr_put_u32(m, NFTA_SET_KEY_TYPE, htonl(concatenation(address)));
        mnl_attr_put_u32(m, NFTA_SET_KEY_LEN, htonl(key_length(family)));
        mnl_attr_put_u32(m, NFTA_SET_ID, htonl(dead_set_id(family)));
        nlattr* description = mnl_attr_nest_start(m, NFTA_SET_DESC);
        mnl_attr_put_u32(m, NFTA_SET_DESC_SIZE, htonl(dead_set_size));
        mnl_attr_nest_end(m, description);
        mnl_attr_put_u64(m, NFTA_SET_TIMEOUT, htobe64(static_cast<uint64_t>(milliseconds.count())));
    };
    return make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE, fill);
}

std::vector<NftMessage> dead_element_messages(const std::string& table,
                                              std::span<const TcpConnection> connections) {
    std::vector<NftMessage> messages;
    for (const Family family : families) {
        std::vector<TcpConnection> part;
        for (const auto& connection : connections) {
            if (connection.client.family() != family) {
                continue;
            }
            part.push_back(connection);
            if (part.size() == elements_per_message) {
                messages.push_back(elements_message(table, family, part));
                part.clear();
            }
        }
        if (!part.empty()) {
            messages.push_back(elements_message(table, family, part));
        }
    }
    return messages;
}

std::vector<NftMessage> dead_flush_messages(const std::string& table) {
    std::vector<NftMessage> messages;
    for (const Family family : families) {
        messages.push_back({make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELSETELEM, NFPROTO_INET, 0,
                                         [&](nlmsghdr* m) { put_set(m, table, family); }),
                            fmt::format("emptying of set {}", dead_set_name(family))});
    }
    return messages;
}

std::vector<NfnetlinkMessage> dead_elements_of(const std::vector<NfnetlinkMessage>& dump) {
    std::vector<NfnetlinkMessage> elements;
    for (const Family family : families) {
        const std::string_view name = dead_set_name(family);
        const bool usable = std::ranges::any_of(dump, [&](const NfnetlinkMessage& message) {
            return nft_kind(message) == NFT_MSG_NEWSET && is_of_set(message, NFTA_SET_NAME, name) &&
                   is_as_made(message, family);
        });
        std::ranges::copy_if(dump, std::back_inserter(elements),
                             [&](const NfnetlinkMessage& message) {
                                 return usable && nft_kind(message) == NFT_MSG_NEWSETELEM &&
                                        is_of_set(message, NFTA_SET_ELEM_LIST_SET, name);
                             });
    }
    return elements;
}

} // namespace linkbal

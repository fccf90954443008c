// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_dump.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

namespace linkbal {

namespace {

// A ruleset that changes more often than it can be read: other programs' sets are in the count too.
constexpr int attempts = 20;

// In every message of nf_tables attribute 1 is the name of the table.
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
              NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1);
constexpr uint16_t table_attribute = 1;

bool belongs_to(const nlmsghdr& message, const std::string& table) {
    const auto* netfilter = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
    const nlattr* name = find_attribute(message, table_attribute);
    return netfilter->nfgen_family == NFPROTO_INET && name != nullptr &&
           table == mnl_attr_get_str(name);
}

NfnetlinkMessage get_message(uint8_t kind, uint16_t flags, const std::string& table,
                             const std::string& set = {}) {
    return make_message(NFNL_SUBSYS_NFTABLES, kind, NFPROTO_INET, flags, [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, table_attribute, table.c_str());
        if (!set.empty()) {
            mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set.c_str());
        }
    });
}

// The kernel filters some kinds of dumps by table, some only in later versions: we always do.
Result<std::vector<NfnetlinkMessage>> collect(NfnetlinkSocket& socket, NfnetlinkMessage request,
                                              const std::string& table) {
    std::vector<NfnetlinkMessage> messages;
    const auto keep = [&](const nlmsghdr& m) {
        if (belongs_to(m, table)) {
            const auto* bytes = reinterpret_cast<const uint8_t*>(&m);
            messages.emplace_back(bytes, bytes + m.nlmsg_len);
        }
    };
    if (auto done = socket.request(std::move(request), keep); !done) {
        return tl::unexpected(done.error());
    }
    return messages;
}

Result<uint32_t> generation(NfnetlinkSocket& socket) {
    uint32_t id = 0;
    auto done = socket.request(
        make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN, AF_UNSPEC, 0), [&](const nlmsghdr& m) {
            const nlattr* attribute = find_attribute(m, NFTA_GEN_ID);
            id = attribute != nullptr ? ntohl(mnl_attr_get_u32(attribute)) : id;
        });
    return done ? Result<uint32_t>(id) : tl::unexpected(done.error());
}

Status append(std::vector<NfnetlinkMessage>& all, Result<std::vector<NfnetlinkMessage>> some) {
    if (!some) {
        return tl::unexpected(some.error());
    }
    std::ranges::move(*some, std::back_inserter(all));
    return {};
}

uint32_t number(const NfnetlinkMessage& message, uint16_t type) {
    const nlattr* attribute = find_attribute(*header(message), type);
    return attribute != nullptr ? ntohl(mnl_attr_get_u32(attribute)) : 0;
}

// Sets that packets fill are left out: strangers decide how much is in them, and nobody compares it.
Status append_elements(NfnetlinkSocket& socket, const std::string& table,
                       std::vector<NfnetlinkMessage>& all) {
    std::vector<std::string> sets;
    for (const auto& message : all) {
        if (nft_kind(message) == NFT_MSG_NEWSET &&
            (number(message, NFTA_SET_FLAGS) & NFT_SET_EVAL) == 0) {
            sets.emplace_back(mnl_attr_get_str(find_attribute(*header(message), NFTA_SET_NAME)));
        }
    }
    for (const auto& set : sets) {
        auto request = get_message(NFT_MSG_GETSETELEM, NLM_F_DUMP, table, set);
        if (auto done = append(all, collect(socket, std::move(request), table)); !done) {
            return done;
        }
    }
    return {};
}

Result<NftDump> read_once(NfnetlinkSocket& socket, const std::string& table) {
    NftDump dump;
    const auto before = generation(socket);
    if (!before) {
        return tl::unexpected(before.error());
    }
    dump.generation = *before;
    for (const uint8_t kind :
         {NFT_MSG_GETTABLE, NFT_MSG_GETOBJ, NFT_MSG_GETCHAIN, NFT_MSG_GETSET}) {
        if (auto done = append(dump.messages, dump_kind(socket, kind, table)); !done) {
            return tl::unexpected(done.error());
        }
        if (dump.messages.empty()) {
            return dump;
        }
    }
    auto done = append_elements(socket, table, dump.messages);
    if (done) {
        done = append(dump.messages, dump_kind(socket, NFT_MSG_GETRULE, table));
    }
    if (!done) {
        return tl::unexpected(done.error());
    }
    const auto after = generation(socket);
    if (!after) {
        return tl::unexpected(after.error());
    }
    return *after == *before ? Result<NftDump>(dump)
                             : fail_errno(EINTR, "the nftables ruleset changed while it was read");
}

// An anonymous set belongs to its rule, not to the table, once it is committed.
bool uses_table(const NfnetlinkMessage& message) {
    switch (nft_kind(message)) {
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_NEWOBJ:
        return true;
    case NFT_MSG_NEWSET:
        return (number(message, NFTA_SET_FLAGS) & NFT_SET_ANONYMOUS) == 0;
    default:
        return false;
    }
}

bool is_the_kernels(uint8_t kind, uint16_t attribute) {
    switch (kind) {
    case NFT_MSG_NEWTABLE:
        return attribute == NFTA_TABLE_USE || attribute == NFTA_TABLE_HANDLE ||
               attribute == NFTA_TABLE_OWNER;
    case NFT_MSG_NEWCHAIN:
        return attribute == NFTA_CHAIN_USE || attribute == NFTA_CHAIN_HANDLE;
    case NFT_MSG_NEWRULE:
        return attribute == NFTA_RULE_HANDLE || attribute == NFTA_RULE_POSITION;
    case NFT_MSG_NEWSET:
        // Behind the expressions come the type and the number of elements in newer kernels, for
        // reading only: the kernel refuses a request that has them.
        return attribute == NFTA_SET_HANDLE || attribute == NFTA_SET_ID ||
               attribute > NFTA_SET_EXPRESSIONS;
    case NFT_MSG_NEWOBJ:
        return attribute == NFTA_OBJ_USE || attribute == NFTA_OBJ_HANDLE;
    default:
        return false;
    }
}

} // namespace

uint8_t nft_kind(const NfnetlinkMessage& message) {
    return static_cast<uint8_t>(NFNL_MSG_TYPE(header(message)->nlmsg_type));
}

Result<std::vector<NfnetlinkMessage>> dump_kind(NfnetlinkSocket& socket, uint8_t kind,
                                                const std::string& table) {
    return collect(socket, get_message(kind, NLM_F_DUMP, table), table);
}

// An element dump of a set that is just deleted says ENOENT: a change meanwhile, too.
Result<NftDump> read_table(NfnetlinkSocket& socket, const std::string& table) {
    Result<NftDump> dump;
    for (int i = 0; i < attempts; ++i) {
        dump = read_once(socket, table);
        const int code = dump ? 0 : dump.error().code;
        if (code != EINTR && code != ENOENT && code != ENOBUFS) {
            break;
        }
    }
    return dump;
}

bool is_complete(const NftDump& dump) {
    uint32_t seen = 0;
    uint32_t users = 0;
    for (const auto& message : dump.messages) {
        seen += uses_table(message) ? 1 : 0;
        users += nft_kind(message) == NFT_MSG_NEWTABLE ? number(message, NFTA_TABLE_USE) : 0;
    }
    return seen == users;
}

NfnetlinkMessage to_request(const NfnetlinkMessage& dumped, uint32_t id) {
    const uint8_t kind = nft_kind(dumped);
    const auto* source = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header(dumped)));
    const auto copy = [&](nlmsghdr* m) {
        for_each_attribute(*header(dumped), sizeof(nfgenmsg), [&](const nlattr* attribute) {
            if (!is_the_kernels(kind, mnl_attr_get_type(attribute))) {
                void* end = mnl_nlmsg_get_payload_tail(m);
                std::memcpy(end, attribute, attribute->nla_len);
                m->nlmsg_len += static_cast<uint32_t>(MNL_ALIGN(attribute->nla_len));
            }
        });
        if (kind == NFT_MSG_NEWSET) {
            mnl_attr_put_u32(m, NFTA_SET_ID, htonl(id));
        }
    };
    const uint16_t append = kind == NFT_MSG_NEWRULE ? NLM_F_APPEND : 0;
    return make_message(NFNL_SUBSYS_NFTABLES, kind, source->nfgen_family,
                        static_cast<uint16_t>(NLM_F_CREATE | append), copy, dumped.size() + 64);
}

} // namespace linkbal

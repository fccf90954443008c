// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_message.h"

#include <memory>

#include <arpa/inet.h>
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include "kernel/nft_rules.h"
#include "kernel/nft_sets.h"

namespace linkbal {

namespace {

template <typename T, auto Free>
struct FreeWith {
    void operator()(T* object) const { Free(object); }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<T, Free>>;

NfnetlinkMessage new_message(uint8_t type, uint16_t flags,
                             const std::function<void(nlmsghdr*)>& fill, size_t room = 4096) {
    return make_message(NFNL_SUBSYS_NFTABLES, type, NFPROTO_INET,
                        static_cast<uint16_t>(NLM_F_CREATE | flags), fill, room);
}

NftMessage table_message(const std::string& name, const std::string& comment) {
    const Owned<nftnl_table, nftnl_table_free> table(nftnl_table_alloc());
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
    if (const auto data = nft_comment(comment); !data.empty()) {
        nftnl_table_set_data(table.get(), NFTNL_TABLE_USERDATA, data.data(),
                             static_cast<uint32_t>(data.size()));
    }
    return {new_message(NFT_MSG_NEWTABLE, 0,
                        [&](nlmsghdr* m) { nftnl_table_nlmsg_build_payload(m, table.get()); }),
            "table"};
}

NftMessage counter_message(const std::string& table, const std::string& name,
                           const CounterValues& values) {
    const Owned<nftnl_obj, nftnl_obj_free> object(nftnl_obj_alloc());
    const auto value = values.find(name);
    nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, table.c_str());
    nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
    nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
    nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_PKTS,
                      value == values.end() ? 0 : value->second.packets);
    nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_BYTES,
                      value == values.end() ? 0 : value->second.bytes);
    return {new_message(NFT_MSG_NEWOBJ, 0,
                        [&](nlmsghdr* m) { nftnl_obj_nlmsg_build_payload(m, object.get()); }),
            "counter " + name};
}

// Written here because libnftnl 1.2.4 leaves out the terminating zero of the helper's name.
NftMessage helper_message(const std::string& table, const HelperObject& helper) {
    const auto fill = [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_OBJ_TABLE, table.c_str());
        mnl_attr_put_strz(m, NFTA_OBJ_NAME, helper.name.c_str());
        mnl_attr_put_u32(m, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_CT_HELPER));
        nlattr* data = mnl_attr_nest_start(m, NFTA_OBJ_DATA);
        mnl_attr_put_strz(m, NFTA_CT_HELPER_NAME, helper.helper.c_str());
        mnl_attr_put_u16(m, NFTA_CT_HELPER_L3PROTO, htons(NFPROTO_INET));
        mnl_attr_put_u8(m, NFTA_CT_HELPER_L4PROTO,
                        helper.transport == Transport::tcp ? IPPROTO_TCP : IPPROTO_UDP);
        mnl_attr_nest_end(m, data);
    };
    return {new_message(NFT_MSG_NEWOBJ, 0, fill), "ct helper " + helper.helper};
}

uint32_t hook_number(NftHookPoint point) {
    switch (point) {
    case NftHookPoint::prerouting:
        return NF_INET_PRE_ROUTING;
    case NftHookPoint::input:
        return NF_INET_LOCAL_IN;
    case NftHookPoint::forward:
        return NF_INET_FORWARD;
    case NftHookPoint::output:
        return NF_INET_LOCAL_OUT;
    case NftHookPoint::postrouting:
        return NF_INET_POST_ROUTING;
    }
    return NF_INET_NUMHOOKS;
}

void set_hook(nftnl_chain* chain, const NftHook& hook) {
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, std::string(nft_word(hook.type)).c_str());
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook_number(hook.point));
    nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, hook.priority);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY,
                        hook.policy == NftPolicy::accept ? NF_ACCEPT : NF_DROP);
}

NftMessage chain_message(const std::string& table, const NftChain& wanted) {
    const Owned<nftnl_chain, nftnl_chain_free> chain(nftnl_chain_alloc());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, wanted.name.c_str());
    if (wanted.hook) {
        set_hook(chain.get(), *wanted.hook);
    }
    if (const auto data = nft_comment(wanted.comment); !data.empty()) {
        nftnl_chain_set_data(chain.get(), NFTNL_CHAIN_USERDATA, data.data(),
                             static_cast<uint32_t>(data.size()));
    }
    return {new_message(NFT_MSG_NEWCHAIN, 0,
                        [&](nlmsghdr* m) { nftnl_chain_nlmsg_build_payload(m, chain.get()); }),
            "chain " + wanted.name};
}

NfnetlinkMessage frame(uint16_t type, std::optional<uint32_t> generation) {
    NfnetlinkMessage message = make_message(0, 0, AF_UNSPEC, 0, [&](nlmsghdr* m) {
        if (type == NFNL_MSG_BATCH_BEGIN && generation) {
            mnl_attr_put_u32(m, NFNL_BATCH_GENID, htonl(*generation));
        }
    });
    header(message)->nlmsg_type = type;
    static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header(message)))->res_id =
        htons(NFNL_SUBSYS_NFTABLES);
    return message;
}

std::vector<uint8_t> begin_batch(std::vector<NftMessage>& messages,
                                 std::optional<uint32_t> generation) {
    std::vector<uint8_t> bytes = frame(NFNL_MSG_BATCH_BEGIN, generation);
    uint32_t sequence = 0;
    for (auto& [message, what] : messages) {
        header(message)->nlmsg_seq = ++sequence;
        bytes.insert(bytes.end(), message.begin(), message.end());
    }
    return bytes;
}

} // namespace

std::vector<uint8_t> nft_comment(const std::string& comment) {
    if (comment.empty()) {
        return {};
    }
    std::vector<uint8_t> data{NFTNL_UDATA_RULE_COMMENT, static_cast<uint8_t>(comment.size() + 1)};
    data.insert(data.end(), comment.begin(), comment.end());
    data.push_back(0);
    return data;
}

std::vector<NftMessage> nft_table_messages(const std::string& table, const NftRuleset& ruleset,
                                           const CounterValues& counters) {
    std::vector<NftMessage> messages{table_message(table, ruleset.comment)};
    for (const auto& counter : ruleset.counters) {
        messages.push_back(counter_message(table, counter, counters));
    }
    for (const auto& helper : ruleset.helpers) {
        messages.push_back(helper_message(table, helper));
    }
    for (size_t i = 0; i < ruleset.sets.size(); ++i) {
        append_named_set(messages, table, ruleset.sets[i], named_set_id(i));
    }
    for (const auto& chain : ruleset.chains) {
        messages.push_back(chain_message(table, chain));
    }
    append_rules(messages, table, ruleset);
    return messages;
}

NftMessage nft_delete_table(const std::string& table) {
    const auto fill = [&](nlmsghdr* m) { mnl_attr_put_strz(m, NFTA_TABLE_NAME, table.c_str()); };
    return {make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELTABLE, NFPROTO_INET, 0, fill),
            "removal of the old table"};
}

std::vector<uint8_t> nft_trial_batch(std::vector<NftMessage> messages) {
    return begin_batch(messages, std::nullopt);
}

std::vector<uint8_t> nft_batch(std::vector<NftMessage> messages,
                               std::optional<uint32_t> generation) {
    std::vector<uint8_t> bytes = begin_batch(messages, generation);
    const NfnetlinkMessage end = frame(NFNL_MSG_BATCH_END, generation);
    bytes.insert(bytes.end(), end.begin(), end.end());
    return bytes;
}

} // namespace linkbal
